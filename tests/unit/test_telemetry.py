"""Our packages do not let ONNX Runtime send usage data."""

import subprocess
import sys
from pathlib import Path

import pytest

from launcher.repository.contract import CHECKOUT


@pytest.mark.parametrize("package", ["launcher", "export_scripts", "perf"])
def test_onnx_runtime_keeps_no_device_id_and_sends_nothing(package: str, tmp_path: Path) -> None:
    folders = {name: str(tmp_path / name) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for folder in folders.values():
        Path(folder).mkdir()
    command = [sys.executable, "-c", f"import {package}, onnxruntime"]
    subprocess.run(command, cwd=CHECKOUT, env=folders, check=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
