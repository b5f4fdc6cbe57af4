"""The gateway's errors: an HTTP status with a message; each dialect formats them in its own way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError

from tribunal.errors import (
    AccessDenied,
    DeadlineExceeded,
    InvalidInput,
    Overloaded,
    ServerUnavailable,
    TribunalError,
)

# Default of Retry-After.
DEFAULT_RETRY_AFTER_S = 1.0
# The code of a text with too many bytes.
TEXT_TOO_LONG = "text_too_long"


@dataclass(eq=False)
class GatewayError(Exception):
    """A request that gets no verdict.

    status: HTTP status. code: a short name of the error, for programs.
    field: the invalid field of the request, if there is one.
    retry_after_s: seconds after which a retry may succeed, if it can. allow: the methods of the path.
    """

    status: int
    code: str
    message: str
    field: str | None = None
    retry_after_s: float | None = None
    allow: str | None = None

    def __str__(self) -> str:
        return self.message

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers = {}
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="tribunal"'
        if self.allow is not None:
            headers["Allow"] = self.allow
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        return headers


def invalid(message: str, field: str | None = None) -> GatewayError:
    """The error of a request that breaks a rule; `message` must name the rule."""
    return GatewayError(400, "invalid_request", message, field)


def overloaded(retry_after_s: float) -> GatewayError:
    """The error of a request that would wait too long."""
    message = f"the server is overloaded; try again in {max(1, math.ceil(retry_after_s))} s"
    return GatewayError(429, "overloaded", message, retry_after_s=retry_after_s)


def from_validation(error: RequestValidationError) -> GatewayError:
    """The first fault of a request's body, with its place."""
    return first_fault(error.errors())


def first_fault(faults: Sequence[Any]) -> GatewayError:
    """The error for the first of pydantic's `faults`, with its place."""
    place = ".".join(str(part) for part in faults[0]["loc"] if part != "body")
    return invalid(f"{place or 'body'}: {faults[0]['msg']}", place or None)


def from_tribunal(error: TribunalError) -> GatewayError:
    """Map an error of Triton's client to the gateway's error, without addresses and credentials of Triton."""
    match error:
        case InvalidInput():
            return invalid(str(error))
        case DeadlineExceeded():
            return GatewayError(504, "timeout", "no verdict within the deadline", None, DEFAULT_RETRY_AFTER_S)
        case Overloaded():
            return overloaded(error.retry_after_s or DEFAULT_RETRY_AFTER_S)
        case ServerUnavailable():
            message = "the moderation server does not answer"
            return GatewayError(503, "unavailable", message, None, DEFAULT_RETRY_AFTER_S)
        case AccessDenied():
            return GatewayError(
                502, "bad_gateway", "the moderation server rejected the gateway's credentials"
            )
        case _:
            return GatewayError(502, "bad_gateway", "the moderation server failed")
