"""The wheel has only the client."""

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from launcher.repository.contract import CHECKOUT

HEAVY = ("torch", "transformers", "onnx", "onnxruntime", "tokenizers", "optimum", "pytriton", "rich", "typer")
EVALUATION = ("datasets", "jinja2", "matplotlib", "pandas", "pyarrow", "sklearn")


@pytest.mark.parametrize(
    ("module", "unwanted"), [("tribunal", HEAVY + EVALUATION), ("tribunal.commands.cli", EVALUATION)]
)
def test_it_does_not_import_unneeded_packages(module: str, unwanted: tuple[str, ...]) -> None:
    check = f"import sys, {module}; print([name for name in {unwanted!r} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(CHECKOUT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_only_the_client(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"tribunal", "tribunal-0.1.0.dist-info"}
    assert {"tribunal/py.typed", "tribunal/evaluation/report.html.jinja"} <= set(names)


def test_the_metadata_is_the_clients_alone(wheel: Path) -> None:
    metadata = zipfile.ZipFile(wheel).read("tribunal-0.1.0.dist-info/METADATA").decode()
    extras = set(re.findall("^Provides-Extra: (.*)$", metadata, re.MULTILINE))
    assert extras == {"cli", "evaluate", "gateway", "ray", "scan"}
    links = re.findall(r"\]\(([^)]*)\)", metadata)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert "<picture>" not in metadata


def test_the_wheel_installs_and_runs_on_its_own(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, timeout=240)
    code = "import tribunal; tribunal.Client('localhost:1', timeout_s=1).moderate('x')"
    failed = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert "tribunal.errors.ServerUnavailable" in failed.stderr
    command = subprocess.run([tmp_path / "bin" / "tribunal"], capture_output=True, text=True, check=False)
    assert command.returncode == 1
    assert "pip install 'tribunal[cli]'" in command.stderr
