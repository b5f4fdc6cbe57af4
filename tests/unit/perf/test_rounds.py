"""Rounds, their figures, and the callers that send them."""

import json

import pytest
import requests

from perf.load.callers import send_workload
from perf.load.workload import WORKLOAD_TEXTS, read_workload
from perf.rounds import Figures, Round, decode_rounds, encode_rounds, figures_at, sample_key

ROUNDS = [Round(1.0, [10.0, 20.0]), Round(2.0, [30.0, 40.0], failures=1), Round(4.0, [50.0, 60.0])]


def test_figures_are_medians_of_rounds_and_percentiles_of_texts() -> None:
    figures = Figures.of(ROUNDS)
    assert (figures.texts_per_s, figures.p50_ms, figures.failures) == (1.0, 35.0, 1)
    assert 59 < figures.p99_ms <= 60


def test_figures_are_read_back_by_name_and_number_of_callers() -> None:
    samples = {sample_key("raw", 1): ROUNDS[:1], sample_key("raw", 8): ROUNDS[1:2]}
    document = json.loads(json.dumps(encode_rounds(samples)))
    assert decode_rounds(document) == samples
    assert figures_at(samples, 8) == {"raw": Figures.of(ROUNDS[1:2])}


def test_a_round_counts_every_text() -> None:
    round_ = send_workload(len, callers=4)
    assert (len(round_.latencies_ms), round_.failures) == (WORKLOAD_TEXTS, 0)


def test_a_round_counts_the_failed_requests_and_raises_other_errors() -> None:
    failing = read_workload()[0]

    def screen(text: str) -> None:
        if text == failing:
            raise requests.ConnectionError

    round_ = send_workload(screen, callers=4)
    assert (len(round_.latencies_ms), round_.failures) == (WORKLOAD_TEXTS - 1, 1)
    with pytest.raises(ZeroDivisionError):
        send_workload(lambda _: 1 / 0, callers=4)
