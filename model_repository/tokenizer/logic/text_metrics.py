"""Histograms of text lengths, counted here and reported in batches.

Triton's own histograms need a message for every value, which costs more than reading a short text. So each
histogram is three counters with the names of a Prometheus histogram: `_bucket` with the label `le`, `_sum`
and `_count`.
"""

import bisect
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Series(NamedTuple):
    """One counter of a histogram; only buckets have a label `le`."""

    counter: str
    le: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """Labels as Triton's custom metrics take them."""
        return {"le": self.le} if self.le else {}


class Histogram:
    """Counts values in buckets; thread-safe.

    bounds: upper bounds of the buckets, ascending; an unbounded bucket is added.
    """

    def __init__(self, name: str, bounds: Sequence[int]) -> None:
        self._bounds = bounds
        self._buckets = [Series(f"{name}_bucket", str(bound)) for bound in (*bounds, "+Inf")]
        self._sum, self._count = Series(f"{name}_sum"), Series(f"{name}_count")
        self._values: Counter[int] = Counter()
        self._lock = threading.Lock()

    @property
    def series(self) -> list[Series]:
        """Its counters, so that each is reported as 0 before the first value."""
        return [*self._buckets, self._sum, self._count]

    def observe(self, values: Iterable[int]) -> None:
        """Count values."""
        with self._lock:
            self._values.update(values)

    def take(self) -> Mapping[Series, int]:
        """Increments of the counters since the last call, without those that did not change."""
        with self._lock:
            values, self._values = self._values, Counter()
        grown: Counter[Series] = Counter()
        for value, times in values.items():
            for bucket in self._buckets[bisect.bisect_left(self._bounds, value) :]:
                grown[bucket] += times
            grown[self._sum] += value * times
            grown[self._count] += times
        return grown
