"""Exponential back-off between attempts."""

from dataclasses import dataclass


@dataclass
class BackOff:
    """Doubles from `first_s` to `longest_s` seconds; `reset` starts again at `first_s`."""

    first_s: float
    longest_s: float
    failures: int = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        pause_s = min(self.longest_s, self.first_s * 2.0**self.failures)
        self.failures += 1
        return pause_s

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
