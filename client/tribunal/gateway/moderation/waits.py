"""The time that a request waited in a queue of the gateway, for the header of its answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# https://www.w3.org/TR/server-timing/
HEADER = "Server-Timing"


@dataclass
class Wait:
    """The longest wait of a text of one request in seconds; None before its texts were sent."""

    longest_s: float | None = None

    def note(self, wait_s: float) -> None:
        """Note the wait of some of its texts."""
        self.longest_s = max(wait_s, self.longest_s or 0.0)

    @property
    def header(self) -> str | None:
        """The value of the header Server-Timing, in milliseconds."""
        return None if self.longest_s is None else f"queue;dur={1000 * self.longest_s:.1f}"


_of_request: ContextVar[Wait | None] = ContextVar("gateway_wait", default=None)


@contextmanager
def waiting() -> Iterator[Wait]:
    """The wait of the request that is handled within the block, also by tasks that start within."""
    wait = Wait()
    token = _of_request.set(wait)
    try:
        yield wait
    finally:
        _of_request.reset(token)


def note_wait(wait_s: float) -> None:
    """Note a wait of the request that is handled."""
    if (wait := _of_request.get()) is not None:
        wait.note(wait_s)
