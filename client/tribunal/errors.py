"""Errors of the client, by whose fault they are.

TribunalError
├── InvalidInput       the caller's: the request can never succeed as it is
├── AccessDenied       the caller's: the server, or a gateway before it, wants other credentials
├── ServerUnavailable  nobody answers at the address, or the server went away; trying again may help
│   └── Overloaded     the server has more to do than it takes; trying again later helps
├── DeadlineExceeded   no answer came within the deadline
└── ServerError        the server's own
"""


class TribunalError(Exception):
    """Base of every error that the client raises."""


class InvalidInput(TribunalError):
    """The text or an option is not acceptable; the message names the field and the limit."""


class AccessDenied(TribunalError):
    """The credentials are missing or not accepted: a header, or the client's certificate."""


class ServerUnavailable(TribunalError):
    """No server answers, or it went away while it answered.

    retry_after_s: seconds that the server asks to wait before the next try; None if it does not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(ServerUnavailable):
    """The server, or a gateway before it, takes no more requests at the moment."""


class DeadlineExceeded(TribunalError):
    """The server did not answer within the deadline; the request may still be running there."""


class ServerError(TribunalError):
    """The server failed, or gave an answer that is not a verdict."""
