"""Decides whether and when to restart a tritonserver that died."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from launcher.recovery.backoff import BackOff

# A server that never became ready will not recover: give up after so many attempts.
MOST_FAILED_STARTS = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# After so many seconds of service the back-off is reset.
STABLE_S = 600.0


@dataclass
class Restarts:
    """Counts the deaths of one tritonserver.

    has_served: it was ready at least once; it is then restarted without limit, with growing pauses.
    """

    clock: Callable[[], float] = time.monotonic
    _pauses: BackOff = field(default_factory=lambda: BackOff(FIRST_PAUSE_S, LONGEST_PAUSE_S))
    has_served: bool = False
    _served_since_s: float = 0.0

    def served(self) -> None:
        """Record that the server is ready."""
        self.has_served = True
        self._served_since_s = self.clock()

    def pause_s(self) -> float | None:
        """Record a death; returns the seconds to wait before a restart, or None to give up."""
        if self.has_served and self.clock() - self._served_since_s >= STABLE_S:
            self._pauses.reset()
        pause_s = self._pauses.next_s()
        if not self.has_served and self._pauses.failures >= MOST_FAILED_STARTS:
            return None
        return pause_s
