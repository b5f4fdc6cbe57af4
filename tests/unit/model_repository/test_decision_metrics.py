"""Counters of verdicts."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from launcher.repository.contract import MODEL_REPOSITORY, category_labels
from model_repository.verdict.logic.answer import STATUSES
from model_repository.verdict.logic.decision_metrics import (
    COUNTERS,
    Series,
    Tally,
    all_series,
    increments,
    report,
)

LABELS = category_labels()


def verdict(
    *categories: str, status: str = "skipped", refusal: bool = False, truncated: bool = False
) -> dict[str, Any]:
    return {
        "flagged": bool(categories) or status == "unavailable",
        "refusal": {"detected": refusal, "score": 0.5},
        "categories": {"flagged": list(categories), "scores": {}},
        "toxicity": {"status": status, "label": None, "score": None, "reason": None},
        "windows": 1,
        "truncated": truncated,
    }


def test_a_batch_is_counted_by_sums() -> None:
    counts = increments(
        [
            verdict("Threat", "Violence"),
            verdict("Threat", status="answered", truncated=True),
            verdict(status="unavailable"),
            verdict(refusal=True),
        ]
    )
    assert counts == {
        Series("tribunal_verdicts_total", "flagged", "true"): 3,
        Series("tribunal_verdicts_total", "flagged", "false"): 1,
        Series("tribunal_categories_flagged_total", "category", "Threat"): 2,
        Series("tribunal_categories_flagged_total", "category", "Violence"): 1,
        Series("tribunal_judge_answers_total", "status", "skipped"): 2,
        Series("tribunal_judge_answers_total", "status", "answered"): 1,
        Series("tribunal_judge_answers_total", "status", "unavailable"): 1,
        Series("tribunal_refusals_total"): 1,
        Series("tribunal_truncated_texts_total"): 1,
    }


def test_what_is_tallied_is_taken_once() -> None:
    tally = Tally()
    assert tally.take() == {}
    with ThreadPoolExecutor(8) as callers:
        for _ in range(1000):
            callers.submit(tally.add, [verdict(), verdict("Threat")])
        taken = [tally.take() for _ in range(1000)]
    taken.append(tally.take())
    total: Counter[Series] = sum(taken, start=Counter())
    assert total == increments([verdict(), verdict("Threat")] * 1000)
    assert tally.take() == {}


def test_every_series_is_known_beforehand_and_their_number_is_bounded() -> None:
    known = all_series(LABELS)
    assert len(known) == len(set(known)) == 2 + len(LABELS) + len(STATUSES) + 2
    assert {series.counter for series in known} == set(COUNTERS)
    everything = [verdict(*LABELS, status=status, refusal=True, truncated=True) for status in STATUSES]
    assert set(increments([*everything, verdict()])) == set(known)


class Counting:
    """A counter like Triton's; a broken one raises."""

    def __init__(self, *, broken: bool = False) -> None:
        self.count = 0
        self.broken = broken

    def increment(self, count: int) -> None:
        if self.broken:
            raise RuntimeError("no such metric")
        self.count += count


def test_a_series_that_cannot_be_reported_is_logged_and_holds_up_no_other() -> None:
    counts = increments([verdict("Threat", status="asleep"), verdict("Threat"), verdict(refusal=True)])
    counters = {series: Counting() for series in all_series(LABELS)}
    counters[Series("tribunal_refusals_total")] = Counting(broken=True)
    warnings: list[str] = []
    report(counts, counters, warnings.append)
    assert len(warnings) == 2
    assert any("asleep" in warning for warning in warnings)
    assert any("no such metric" in warning for warning in warnings)
    known = {series: count for series, count in counts.items() if series in counters}
    del known[Series("tribunal_refusals_total")]
    assert {series: counter.count for series, counter in counters.items() if counter.count} == known


def test_the_labels_of_a_series() -> None:
    assert Series("tribunal_refusals_total").labels == {}
    assert Series("tribunal_judge_answers_total", "status", "skipped").labels == {"status": "skipped"}


def test_the_statuses_are_those_of_the_verdict() -> None:
    schema = json.loads((MODEL_REPOSITORY / "verdict" / "verdict.schema.json").read_text("utf-8"))
    assert sorted(STATUSES) == sorted(schema["properties"]["toxicity"]["properties"]["status"]["enum"])
