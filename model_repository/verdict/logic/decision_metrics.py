"""Counts decisions from verdicts; the counters contain nothing of the texts."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .answer import STATUSES

# Name of each counter and its help text.
COUNTERS = {
    "tribunal_verdicts_total": "Verdicts given, by whether they flag the text.",
    "tribunal_categories_flagged_total": "Verdicts that flag the text for a category, by category.",
    "tribunal_refusals_total": "Verdicts on texts that are an LLM's refusal.",
    "tribunal_judge_answers_total": "Verdicts, by the status of the judge's answer.",
    "tribunal_truncated_texts_total": "Verdicts on texts whose end was not read.",
}


class Series(NamedTuple):
    """One counter of a family; `label` is empty if the family has a single counter."""

    counter: str
    label: str = ""
    value: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """Labels as Triton's custom metrics take them."""
        return {self.label: self.value} if self.label else {}


class Tally:
    """Counts since the last `take`; thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[Series] = Counter()
        self._lock = threading.Lock()

    def add(self, verdicts: Iterable[Mapping[str, Any]]) -> None:
        """Count these verdict documents."""
        counts = increments(verdicts)
        with self._lock:
            self._counts.update(counts)

    def take(self) -> Counter[Series]:
        """Return the counts and reset them."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts


def all_series(categories: Sequence[str]) -> list[Series]:
    """All possible series, so that each is reported as 0 before its first event."""
    return [
        *(_flagged(flagged) for flagged in (False, True)),
        *(_category(category) for category in categories),
        *(_status(status) for status in STATUSES),
        Series("tribunal_refusals_total"),
        Series("tribunal_truncated_texts_total"),
    ]


def report(counts: Mapping[Series, int], counters: Mapping[Series, Any], warn: Callable[[str], None]) -> None:
    """Add each count to its counter, a Triton metric; a failure is logged and does not stop the others."""
    for series, count in counts.items():
        try:
            counters[series].increment(count)
        except Exception as error:  # noqa: BLE001 - the thread that reports must go on
            warn(f"{series} was not counted: {error!r}")


def increments(verdicts: Iterable[Mapping[str, Any]]) -> Counter[Series]:
    """The increment of each series by these verdict documents."""
    counts: Counter[Series] = Counter()
    for verdict in verdicts:
        counts[_flagged(verdict["flagged"])] += 1
        counts.update(_category(category) for category in verdict["categories"]["flagged"])
        counts[_status(verdict["toxicity"]["status"])] += 1
        if verdict["refusal"]["detected"]:
            counts[Series("tribunal_refusals_total")] += 1
        if verdict["truncated"]:
            counts[Series("tribunal_truncated_texts_total")] += 1
    return counts


def _flagged(flagged: bool) -> Series:
    return Series("tribunal_verdicts_total", "flagged", "true" if flagged else "false")


def _category(category: str) -> Series:
    return Series("tribunal_categories_flagged_total", "category", category)


def _status(status: str) -> Series:
    return Series("tribunal_judge_answers_total", "status", status)
