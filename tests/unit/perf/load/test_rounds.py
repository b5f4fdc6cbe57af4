"""Rounds, their figures, and the callers that send them."""

import json
from collections.abc import Sequence

import pytest
import requests

from perf.load.callers import send_texts
from perf.load.rounds import (
    LOADS,
    Figures,
    Load,
    Round,
    decode_figures,
    encode_figures,
    figures_at,
    figures_of,
    sample_key,
)
from perf.load.workload import WORKLOAD_TEXTS, read_workload

ROUNDS = [Round(1.0, [10.0, 20.0]), Round(2.0, [30.0, 40.0], failures=1), Round(4.0, [50.0, 60.0])]


def test_figures_are_medians_of_rounds_and_percentiles_of_texts() -> None:
    figures = Figures.of(ROUNDS)
    assert (figures.texts_per_s, figures.p50_ms, figures.failures) == (1.0, 35.0, 1)
    assert 59 < figures.p99_ms <= 60


def test_figures_are_read_back_by_name_and_load() -> None:
    samples = {sample_key("raw", *load): [round_] for load, round_ in zip(LOADS, ROUNDS, strict=True)}
    figures = figures_of(samples)
    assert decode_figures(json.loads(json.dumps(encode_figures(figures)))) == figures
    for load, round_ in zip(LOADS, ROUNDS, strict=True):
        assert figures_at(figures, *load) == {"raw": Figures.of([round_])}


def test_the_keys_of_single_texts_are_those_of_older_samples() -> None:
    assert [sample_key("raw", *load) for load in LOADS] == [
        "raw callers=1",
        "raw callers=8",
        "raw callers=8 texts=16",
    ]


def test_tables_call_a_load_by_its_callers_and_texts() -> None:
    assert list(map(str, LOADS)) == ["1 caller", "8 callers", "8 callers, requests of 16 texts"]


def test_a_round_counts_every_text() -> None:
    round_ = send_texts(len, read_workload(), Load(4))
    assert (len(round_.latencies_ms), round_.failures) == (WORKLOAD_TEXTS, 0)


def test_the_latency_of_a_text_is_that_of_its_request() -> None:
    requests_sent: list[Sequence[str]] = []
    round_ = send_texts(requests_sent.append, read_workload(), Load(2, 16))
    assert {len(request) for request in requests_sent} == {16}
    assert sorted(text for request in requests_sent for text in request) == sorted(read_workload())
    assert len(round_.latencies_ms) == WORKLOAD_TEXTS
    assert len(set(round_.latencies_ms)) == len(requests_sent)


def test_a_round_counts_the_failed_requests_and_raises_other_errors() -> None:
    failing = read_workload()[0]

    def screen(texts: Sequence[str]) -> None:
        if failing in texts:
            raise requests.ConnectionError

    for request_texts in (1, 16):
        round_ = send_texts(screen, read_workload(), Load(4, request_texts))
        assert (len(round_.latencies_ms), round_.failures) == (WORKLOAD_TEXTS - request_texts, request_texts)
    with pytest.raises(ZeroDivisionError):
        send_texts(lambda _: 1 / 0, read_workload(), Load(4))
