"""The metrics of decisions after known traffic, which never contain texts."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from tribunal import Client, InvalidInput

from launcher.process.server import TritonServer
from launcher.repository.contract import category_labels
from tests.integration.metrics import scrape, settle, value

THREAT = "I could strangle him."
HARMLESS = "The bread is fresh."
# More tokens than the encoders read.
DENSE = "a " * 16000
REFUSAL = "Sorry, but I can't assist with that."


@pytest.fixture
def grown(server: TritonServer) -> Callable[..., float]:
    """The growth of a sample between the test's start and its first query."""
    before = settle(server)
    after = functools.cache(lambda: settle(server))
    return lambda name, **labels: value(after(), name, **labels) - value(before, name, **labels)


def test_verdicts_are_counted_as_they_were_given(server: TritonServer, grown: Callable[..., float]) -> None:
    texts = [*[THREAT, HARMLESS, REFUSAL] * 4, DENSE]
    with Client(server.grpc_url) as client, ThreadPoolExecutor(4) as callers:
        verdicts = [
            *callers.map(lambda text: client.moderate(text, judge="never"), texts),
            *client.moderate_batch([THREAT, HARMLESS, REFUSAL], explain=False),
        ]
    flagged = sum(verdict.flagged for verdict in verdicts)
    assert 0 < flagged < len(verdicts)
    assert grown("tribunal_verdicts_total", flagged="true") == flagged
    assert grown("tribunal_verdicts_total", flagged="false") == len(verdicts) - flagged
    for category in category_labels():
        expected = sum(category in verdict.categories.flagged for verdict in verdicts)
        assert grown("tribunal_categories_flagged_total", category=category) == expected
    assert grown("tribunal_refusals_total") == sum(verdict.refusal.detected for verdict in verdicts) >= 5
    assert grown("tribunal_truncated_texts_total") == sum(verdict.truncated for verdict in verdicts) == 1
    for status in ("answered", "skipped", "unavailable", "unparsed"):
        expected = sum(verdict.toxicity.status == status for verdict in verdicts)
        assert grown("tribunal_judge_answers_total", status=status) == expected
    assert grown("tribunal_judge_duration_seconds_count", status="answered") == 3
    assert grown("tribunal_judge_duration_seconds_bucket", status="answered", le="+Inf") == 3
    assert grown("tribunal_judge_duration_seconds_sum", status="answered") > 0


def test_texts_are_measured(server: TritonServer, grown: Callable[..., float]) -> None:
    texts = ["é" * 32, "x" * 65, "word " * 2000]
    with Client(server.grpc_url) as client:
        verdicts = client.moderate_batch(texts, judge="never")
    assert grown("tribunal_text_bytes_count") == grown("tribunal_text_windows_count") == 3
    assert grown("tribunal_text_bytes_sum") == 64 + 65 + 10000
    assert grown("tribunal_text_bytes_bucket", le="64") == 1
    assert grown("tribunal_text_bytes_bucket", le="256") == 2
    assert grown("tribunal_text_windows_sum") == sum(verdict.windows for verdict in verdicts)
    assert grown("tribunal_text_windows_bucket", le="1") == 2


def test_what_callers_got_wrong_is_counted_apart(server: TritonServer, grown: Callable[..., float]) -> None:
    with Client(server.grpc_url) as client, pytest.raises(InvalidInput):
        client.moderate("x" * 65537, judge="never")
    tensors = [
        {"name": name, "datatype": "BYTES", "shape": [1, 1], "data": [content]}
        for name, content in (("text", HARMLESS), ("judge", "perhaps"))
    ]
    answer = requests.post(
        f"{server.http_url}/v2/models/moderation/infer", json={"inputs": tensors}, timeout=10
    )
    assert answer.status_code == 400
    assert grown("tribunal_invalid_requests_total", input="text") == 1
    assert grown("tribunal_invalid_requests_total", input="judge") == 1
    assert grown("tribunal_text_bytes_count") == 1
    assert grown("tribunal_verdicts_total", flagged="true") == 0
    assert grown("tribunal_verdicts_total", flagged="false") == 0


def test_the_source_of_the_weights(server: TritonServer) -> None:
    samples = scrape(server)
    for model, precision in (("rejection", "fp32"), ("aegis", "fp32"), ("judge", "float32")):
        labels = {"model": model, "source": "demo", "revision": "", "precision": precision}
        assert value(samples, "tribunal_weights_info", **labels) == 1


def test_no_metric_holds_a_text(server: TritonServer) -> None:
    with Client(server.grpc_url) as client:
        client.moderate("Zanzibar quinces, unmistakably", judge="always")
    exposed = requests.get(server.metrics_url, timeout=10).text
    assert "Zanzibar" not in exposed
    assert "quinces" not in exposed
