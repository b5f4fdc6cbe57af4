"""Measures how much a queue gets done per second, from which the wait of new requests is estimated."""

import time
from dataclasses import dataclass

# Weight of the newest measurement in the moving average.
SMOOTHING = 0.2
# Shorter measurements are too noisy.
MEASURED_S = 0.25


@dataclass
class Throughput:
    """Cost per second while the queue is never empty; until the first measurement an assumption."""

    cost_per_s: float
    _done: int = 0
    _full_since_s: float | None = None

    def note(self, cost: int, *, is_full: bool) -> None:
        """Note that work of `cost` is done. is_full: whether other work waits."""
        now_s = time.monotonic()
        if not is_full:
            self._full_since_s = None
            return
        if self._full_since_s is None:
            self._full_since_s, self._done = now_s, 0
            return
        self._done += cost
        passed_s = now_s - self._full_since_s
        if passed_s < MEASURED_S:
            return
        self.cost_per_s += SMOOTHING * (self._done / passed_s - self.cost_per_s)
        self._full_since_s, self._done = now_s, 0
