"""The deadline of a call, on the monotonic clock, and the error if it has passed.

The transports enforce it: gRPC by its own deadline, HTTP by asyncio's timeout. The clients enforce it while a
call waits for its slot, and `retries` between two attempts.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tribunal.arguments import is_number
from tribunal.errors import DeadlineExceeded, InvalidInput

# Seconds that closing a connection may take.
CLOSE_S = 5.0
# No server answers in so few seconds.
LEAST_S = 0.02
# Timers overflow at larger values.
LONGEST_S = 365 * 86400.0


def check_deadline(timeout_s: float) -> float:
    """Return `timeout_s`; raises InvalidInput unless it is a number, positive and finite."""
    if not is_number(timeout_s) or not 0 < timeout_s <= sys.float_info.max:
        raise InvalidInput(f"timeout_s is {timeout_s!r}; it must be positive and finite")
    return timeout_s


def remaining_s(deadline_s: float) -> float:
    """Seconds until `deadline_s` of the monotonic clock; a millisecond if it has passed, a year at most."""
    return min(max(deadline_s - time.monotonic(), 0.001), LONGEST_S)


def require_time_left(deadline_s: float) -> None:
    """Raise TimeoutError if too little time is left to send a call that waited for its slot."""
    if deadline_s - time.monotonic() < LEAST_S:
        raise TimeoutError


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
