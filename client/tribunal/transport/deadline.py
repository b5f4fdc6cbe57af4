"""The deadline of a call, on the monotonic clock, and the error if it has passed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tribunal.errors import DeadlineExceeded


def remaining_s(deadline_s: float) -> float:
    """Seconds until `deadline_s` of the monotonic clock; a millisecond if it has passed."""
    return max(deadline_s - time.monotonic(), 0.001)


@contextmanager
def late_answers(url: str, timeout_s: float) -> Iterator[None]:
    """Turn TimeoutError into DeadlineExceeded."""
    try:
        yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"no answer from {url} within {timeout_s:g} s") from error
