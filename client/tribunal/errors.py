"""Errors of the client, named by whose fault they are.

TribunalError
├── InvalidInput       the caller's: the request can never succeed as it is
├── AccessDenied       the caller's: the server, or a gateway in front of it, refuses the credentials
├── ServerUnavailable  no server answers at the address, or the connection was lost; retrying may help
│   └── Overloaded     the server is at its limit; retrying later helps
├── DeadlineExceeded   no answer arrived within the deadline, and no try failed before
└── ServerError        the server's
"""

from collections.abc import Mapping
from typing import Any


class TribunalError(Exception):
    """Base of every error that the client raises; survives pickle with all its attributes."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception would call the class with `args`, which are those of the base and not of the subclass.
        return _restored, (type(self), self.args, self.__dict__)


class InvalidInput(TribunalError):
    """The text or an option is invalid; the message names the field and the limit."""


class AccessDenied(TribunalError):
    """The credentials are missing or not accepted: a header, or the client's certificate."""


class ServerUnavailable(TribunalError):
    """No server answers, or the connection was lost.

    retry_after_s: seconds of the server's `Retry-After`; None if it sent none.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(ServerUnavailable):
    """The server, or a gateway in front of it, is at its limit."""


class DeadlineExceeded(TribunalError):
    """The server did not answer within the deadline; the request may still be running there."""


class ServerError(TribunalError):
    """The server failed, or its answer is not a verdict."""


def _restored(
    kind: type[TribunalError], args: tuple[Any, ...], attributes: Mapping[str, Any]
) -> TribunalError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
