"""The deadline of a call, on the monotonic clock, and the error if it has passed.

The transports enforce it: gRPC by its own deadline, HTTP by asyncio's timeout. The clients enforce it while a
call waits for its slot, and `retries` between two attempts.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tribunal.errors import DeadlineExceeded, InvalidInput

# Seconds that closing a connection may take.
CLOSE_S = 5.0


def check_deadline(timeout_s: float) -> float:
    """Return `timeout_s`; raises InvalidInput unless it is positive and finite."""
    if not 0 < timeout_s < float("inf"):
        raise InvalidInput(f"timeout_s is {timeout_s}; it must be positive and finite")
    return timeout_s


def remaining_s(deadline_s: float) -> float:
    """Seconds until `deadline_s` of the monotonic clock; a millisecond if it has passed."""
    return max(deadline_s - time.monotonic(), 0.001)


@contextmanager
def late_answers(url: str, timeout_s: float) -> Iterator[None]:
    """Turn TimeoutError into DeadlineExceeded."""
    try:
        yield
    except TimeoutError as error:
        raise no_answer(url, timeout_s) from error


def no_answer(url: str, timeout_s: float) -> DeadlineExceeded:
    """The server at `url` did not answer within `timeout_s`."""
    return DeadlineExceeded(f"no answer from {url} within {timeout_s:g} s")
