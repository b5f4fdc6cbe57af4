"""Comparing an encoder's logits with the export's references, and asking a server for them."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from launcher import StartError
from launcher.__main__ import export_command
from launcher.process.model_control import UNREACHABLE, ModelControl
from launcher.process.self_check import SelfCheck, SelfCheckError, summary
from launcher.repository.self_check import (
    GPU_TOLERANCE,
    Outcome,
    Reference,
    activate,
    plan_requests,
    read_references,
    request_tensors,
)

LOGITS = np.array([[2.0, -1.0, 0.5], [-3.0, 0.0, 1.0]], np.float32)
LABELS = ("One", "Two", "Three")


def reference(**changed: Any) -> Reference:
    fields: dict[str, Any] = {
        "activation": "sigmoid",
        "tolerance": 1e-4,
        "labels": LABELS,
        "input_ids": ((1, 5, 2), (1, 7, 8, 9, 2)),
        "scores": activate(LOGITS, "sigmoid"),
    }
    return Reference(**{**fields, **changed})


def entry(**changed: Any) -> dict[str, Any]:
    scores = [dict(zip(LABELS, map(float, row), strict=True)) for row in activate(LOGITS, "sigmoid")]
    ids = [[1, 5, 2], [1, 7, 8, 9, 2]]
    texts = [{"input_ids": of_text, "scores": row} for of_text, row in zip(ids, scores, strict=True)]
    return {"activation": "sigmoid", "tolerance": 1e-4, "texts": texts, **changed}


def test_the_references_are_read_by_the_names_of_the_labels() -> None:
    model = {"labels": list(LABELS), "precision": "fp32", "graph": "loop", "self_check": entry()}
    read = read_references({"models": {"aegis": model, "judge": {}}})
    assert list(read) == ["aegis"]
    assert read["aegis"].input_ids == reference().input_ids
    np.testing.assert_allclose(read["aegis"].scores, reference().scores)
    swapped = read_references({"models": {"aegis": {**model, "labels": ["Two", "One", "Three"]}}})["aegis"]
    assert not swapped.compare(LOGITS).passed


@pytest.mark.parametrize(
    "changed",
    [
        {"activation": "tanh"},
        {"texts": []},
        {"texts": [{"input_ids": [1], "scores": {"One": 0.5}}]},
        {"tolerance": None},
        {"texts": 3},
    ],
)
def test_damaged_references_are_refused(changed: dict[str, Any]) -> None:
    model = {"labels": list(LABELS), "self_check": entry(**changed)}
    with pytest.raises(StartError, match="self_check of aegis in the manifest is damaged"):
        read_references({"models": {"aegis": model}})


def test_equal_scores_pass_and_the_label_that_differs_is_named() -> None:
    assert reference().compare(LOGITS) == Outcome(2, 0.0, 1e-4, "One")
    changed = LOGITS.copy()
    changed[1, 2] += 0.1
    outcome = reference().compare(changed)
    assert not outcome.passed
    assert outcome.label == "Three"
    assert outcome.score_difference == pytest.approx(0.0191, abs=1e-3)
    assert outcome.as_dict() == {"texts": 2, "score_difference": outcome.score_difference, "tolerance": 1e-4}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_a_logit_that_is_not_finite_never_passes(value: float, activation: str) -> None:
    scores = activate(LOGITS, cast(Any, activation))
    logits = LOGITS.copy()
    logits[0, 1] = value
    outcome = reference(activation=activation, scores=scores, tolerance=1.0).compare(logits)
    assert outcome.score_difference == np.inf
    assert not outcome.passed


def test_another_number_of_labels_never_passes() -> None:
    assert not reference().compare(LOGITS[:, :2]).passed


def test_a_gpu_may_round_more_and_keeps_a_larger_tolerance() -> None:
    outcome = reference().compare(LOGITS + np.float32(0.01), on_gpu=True)
    assert outcome.passed
    assert outcome.tolerance == GPU_TOLERANCE
    assert reference(tolerance=0.2).compare(LOGITS, on_gpu=True).tolerance == 0.2


def test_activations() -> None:
    np.testing.assert_allclose(activate(LOGITS, "softmax").sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(activate(LOGITS, "sigmoid")[1, 1], 0.5)
    assert activate(np.array([[1000.0, -1000.0]], np.float32), "sigmoid").tolist() == [[1.0, 0.0]]


def test_a_request_pads_its_texts_to_the_longest() -> None:
    ids, mask = request_tensors([[1, 5, 2], [1, 7, 8, 9, 2]], windows=2)
    assert ids.tolist() == [[[1, 5, 2, 0, 0], [1, 7, 8, 9, 2]]]
    assert mask.tolist() == [[[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]]
    assert ids.dtype == mask.dtype == np.int32


@pytest.mark.parametrize("count", [1, 2, 6, 16, 17, 19])
def test_every_text_is_asked_once_in_requests_of_full_batches(count: int) -> None:
    order = list(reversed(range(count)))
    plan = plan_requests(order)
    assert [number for texts, _ in plan for number in texts] == order
    assert all(len(texts) % windows == 0 for texts, windows in plan)
    assert plan_requests(order, alone=True) == [([number], 1) for number in order]


def test_int8_without_the_loop_is_asked_text_by_text() -> None:
    model = {"labels": list(LABELS), "self_check": entry()}
    for precision, graph, alone in (
        ("int8", "padded", True),
        ("int8", "loop", False),
        ("fp16", "padded", False),
    ):
        models = {"aegis": {**model, "precision": precision, "graph": graph}}
        assert read_references({"models": models})["aegis"].alone == alone


def test_the_outcomes_in_words() -> None:
    outcomes = {"aegis": Outcome(16, 1e-7, 1e-4, "One"), "rejection": Outcome(16, 2.1e-6, 1e-4, "REJECTION")}
    words = "16 texts a model, largest difference 2.1e-06 (rejection), 1.0e-07 (aegis)"
    assert summary(outcomes) == words


@pytest.mark.parametrize(
    ("source", "given"), [("demo", "demo"), ("hub:AC/MiniLM", "hub"), ("dir:/weights/aegis", "/weights")]
)
def test_the_command_that_exports_again(source: str, given: str) -> None:
    command = export_command(Path("/models"), ["aegis"], {"source": source, "precision": "int8"})
    assert command == (
        f"python -m export_scripts --source {given} --models aegis --precision int8 --repository /models"
    )


@contextmanager
def answering(answer: bytes, status: int = 200) -> Iterator[ModelControl]:
    """A server that gives every request the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield ModelControl(f"127.0.0.1:{server.server_port}", "key", {"aegis"}, {}, 1.0)
        finally:
            server.shutdown()


def logits_answer(logits: list[float]) -> bytes:
    return json.dumps({"outputs": [{"name": "logits", "data": logits}]}).encode()


def test_what_passed_is_written_for_the_model_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    one = reference(input_ids=((1, 5, 2),), scores=reference().scores[:1])
    with answering(logits_answer(LOGITS[0].tolist())) as control:
        check = SelfCheck(control, {"aegis": one}, tmp_path / "self_check.json", on_gpu=False)
        check.check_all()
        check.check("tokenizer")
    assert json.loads(check.file.read_text()) == {
        "aegis": {"texts": 1, "score_difference": pytest.approx(0, abs=1e-6), "tolerance": 1e-4}
    }
    assert list(check.outcomes) == ["aegis"]


def test_a_wrong_answer_names_model_label_difference_tolerance_and_cure(tmp_path: Path) -> None:
    one = reference(input_ids=((1, 5, 2),), scores=reference().scores[:1])
    with answering(logits_answer([2.0, -1.0, 1.5])) as control:
        check = SelfCheck(control, {"aegis": one}, tmp_path / "self_check.json", on_gpu=False)
        with pytest.raises(
            SelfCheckError,
            match=r"aegis .*: Three .* by 0\.2, the tolerance is 0\.0001\. Export the model again",
        ) as refused:
            check.check_all()
    assert refused.value.model == "aegis"
    assert not check.file.exists()


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"{}", 200), (b"no JSON", 200), (b'{"outputs": []}', 200), (b'{"error": "busy"}', 503)],
)
def test_an_answer_without_logits_is_no_answer(tmp_path: Path, answer: bytes, status: int) -> None:
    with answering(answer, status) as control:
        check = SelfCheck(control, {"aegis": reference()}, tmp_path / "self_check.json", on_gpu=False)
        with pytest.raises(UNREACHABLE):
            check.check_all()
