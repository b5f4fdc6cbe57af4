"""The benchmarks' own arithmetic, and the texts that they send."""

import pytest

from perf.rounds import Figures, Round, call_with
from perf.shapes import with_repeats
from perf.workload import TEXTS, make_texts, read_texts


def test_the_committed_workload_is_the_seeded_one() -> None:
    assert read_texts() == make_texts()
    assert len(read_texts()) == TEXTS
    assert max(map(len, read_texts())) > 10 * sorted(map(len, read_texts()))[TEXTS // 2]


def test_figures_are_medians_of_rounds_and_percentiles_of_texts() -> None:
    rounds = [Round(1.0, [10.0, 20.0]), Round(2.0, [30.0, 40.0], failures=1), Round(4.0, [50.0, 60.0])]
    figures = Figures.of(rounds)
    assert (figures.texts_per_s, figures.p50_ms, figures.failures) == (1.0, 35.0, 1)
    assert 59 < figures.p99_ms <= 60


def test_a_round_counts_every_text_and_no_foreign_error() -> None:
    made = call_with(len, callers=4)
    assert (len(made.latencies_ms), made.failures) == (TEXTS, 0)
    with pytest.raises(ZeroDivisionError):
        call_with(lambda _: 1 / 0, callers=4)


def test_repeats_have_their_share() -> None:
    repeated = with_repeats([str(number) for number in range(1000)])
    assert 250 < 1000 - len(set(repeated)) < 350
