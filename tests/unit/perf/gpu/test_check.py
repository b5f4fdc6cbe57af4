"""The GPU check: its refusals and its report."""

from pathlib import Path

import pytest

from perf.gpu import check
from perf.gpu.check import VARIANTS, Outcome, main, record
from perf.load.rounds import Round


def test_without_a_gpu_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "has_gpu", lambda: False)
    assert main("demo", tmp_path / "report.json", without_gpu=False) == 1
    assert not (tmp_path / "report.json").exists()


def test_engines_are_skipped_with_a_reason_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "has_gpu", lambda: False)
    (tensorrt,) = [variant for variant in VARIANTS if variant.needs_engines]
    outcome, scores = check.run_variant(tensorrt, "demo", None)
    assert (outcome.skipped, scores) == ("TensorRT needs a GPU", None)


def test_failed_texts_are_no_figure() -> None:
    outcome = Outcome("x")
    with pytest.raises(RuntimeError, match="2 texts failed at 8 callers"):
        record(outcome, 8, lambda: Round(1.0, [5.0], failures=2))
    record(outcome, 1, lambda: Round(2.0, [10.0, 20.0]))
    assert (outcome.texts_per_s, outcome.p50_ms) == ({1: 1.0}, {1: 15.0})
