"""The GPU check: its refusal, its reference and its figures."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from perf.gpu import check as gpu_check
from perf.gpu.check import main, model_figures, processor_seconds


def test_without_a_gpu_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "has_gpu", lambda: False)
    assert main(None, 1.0, tmp_path / "report.json", without_gpu=False) == 1
    assert not (tmp_path / "report.json").exists()


def test_figures_are_those_of_the_requests_between_two_readings() -> None:
    keys = ("texts", "executions", "requests", "queue_ms", "compute_ms")
    before = dict(zip(keys, (10, 2, 5, 1.0, 20.0), strict=True))
    after = dict(zip(keys, (42, 4, 9, 3.0, 28.0), strict=True))
    assert model_figures({"aegis": before}, {"aegis": after}) == {
        "aegis": {"texts_per_execution": 16, "queue_ms": 0.5, "compute_ms": 2}
    }
    assert np.isfinite(list(model_figures({"aegis": after}, {"aegis": after})["aegis"].values())).all()


def test_the_processes_of_a_model_are_counted_together(tmp_path: Path) -> None:
    model = tmp_path / "tokenizer" / "1" / "model.py"
    commands = [["sh", "-c", "sleep 30; true", str(model)] for _ in range(2)]
    processes = [subprocess.Popen(command) for command in commands]
    try:
        assert "tokenizer" in processor_seconds()
    finally:
        for process in processes:
            process.kill()
            process.wait()
