"""An export for TensorRT is what the command that builds engines takes."""

import subprocess
import sys
from pathlib import Path

import onnx

from export_scripts.hub_models import ENCODERS
from launcher.repository.contract import CHECKOUT
from tests.integration.conftest import export


def test_the_commands_for_an_export_are_printed(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    export("demo", repository, "--models", *ENCODERS, "--precision", "fp16", "--unfused")
    command = [sys.executable, "-m", "export_scripts.tensorrt", "--print", "--repository", str(repository)]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len([line for line in lines if "--stronglyTyped" in line]) == len(ENCODERS)
    for name in ENCODERS:
        graph = onnx.load(repository / name / "1" / "model.onnx").graph
        # TensorRT reads only the standard operators, and no loop of ours.
        assert {node.domain for node in graph.node} <= {"", "ai.onnx"}
        assert "Loop" not in {node.op_type for node in graph.node}
