"""Starts tritonserver again when it dies, unless it does nothing else."""

import time
from collections import deque
from collections.abc import Callable

MOST = 5
WITHIN_S = 600.0


class CrashLimit:
    """At most `most` crashes within `within_s` seconds; as systemd limits the starts of a service.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#StartLimitIntervalSec=interval
    """

    def __init__(
        self, most: int = MOST, within_s: float = WITHIN_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most = most
        self.within_s = within_s
        self._clock = clock
        self._crashes_s: deque[float] = deque(maxlen=most)

    def reached(self) -> bool:
        """Count a crash that happened now; whether it was one too many."""
        now_s = self._clock()
        self._crashes_s.append(now_s)
        return len(self._crashes_s) == self.most and now_s - self._crashes_s[0] < self.within_s
