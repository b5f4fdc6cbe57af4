"""Who sent a request."""

from dataclasses import dataclass

from limits import RateLimitItem

# Of callers whose key names no other.
DEFAULT_POLICY = "default"


@dataclass(frozen=True)
class Caller:
    """A caller: a name for the log and the metrics, a policy's name, and rate limits.

    address: of a caller without a key.
    """

    name: str
    policy: str = DEFAULT_POLICY
    rate_limits: tuple[RateLimitItem, ...] = ()
    address: str = ""

    @property
    def queue(self) -> str:
        """Name of this caller's queue."""
        return f"{self.name} {self.address}"
