"""Which calls are retried, and after which back-off."""

from typing import Any

import tenacity

from tribunal.errors import ServerUnavailable

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


def retry_policy(retries: int, timeout_s: float) -> dict[str, Any]:
    """Options of tenacity's Retrying: retry only what is safe to repeat, and never past the deadline.

    The back-off is random, grows, and is at least the server's `Retry-After`.
    """
    back_off_s = tenacity.wait_random_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S)

    def pause_s(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_s = error.retry_after_s if isinstance(error, ServerUnavailable) else None
        return max(back_off_s(state), asked_s or 0.0)

    return {
        "retry": tenacity.retry_if_exception_type(ServerUnavailable),
        "wait": pause_s,
        "stop": tenacity.stop_after_attempt(1 + retries) | tenacity.stop_before_delay(timeout_s),
        "reraise": True,
    }


def retry_after_s(value: str | bytes | None) -> float | None:
    """Seconds of a `Retry-After` header; None if it is missing or a date."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value or ""
    return float(text) if text.isascii() and text.isdigit() else None
