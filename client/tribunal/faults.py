"""The errors that both protocols share, with what to do about each."""

from tribunal.errors import (
    AccessDenied,
    InvalidInput,
    Overloaded,
    ServerError,
    ServerUnavailable,
    TribunalError,
)

# What Triton says of an input that the model does not have, or of more inputs than it has.
UNKNOWN_INPUT = ("unexpected inference input", "expected number of inputs")


class NoConnection(ServerUnavailable):
    """The connection failed; `diagnosis` may find out why."""


def no_connection(url: str, reason: object) -> NoConnection:
    """Nobody answers at `url`, or not in the protocol that the URL names."""
    return NoConnection(_unreachable(url, reason))


def unavailable(url: str, reason: object, retry_after_s: float | None = None) -> ServerUnavailable:
    """The server at `url` went away, or says that it cannot answer now."""
    return ServerUnavailable(_unreachable(url, reason), retry_after_s)


def overloaded(url: str, reason: str, retry_after_s: float | None) -> Overloaded:
    """The server at `url` says that it has too much to do."""
    return Overloaded(f"{url} is overloaded ({reason}): try again later", retry_after_s)


def access_denied(url: str, reason: str) -> AccessDenied:
    """The server at `url`, or a gateway before it, refuses the credentials."""
    return AccessDenied(f"{url} refuses these credentials ({reason})")


def refused(reason: str) -> TribunalError:
    """The server refuses the request: for what the caller sent, or for an input that it does not have."""
    if any(words in reason for words in UNKNOWN_INPUT):
        return ServerError(f"the server is too old for an option of this call ({reason}): update the server")
    return InvalidInput(reason)


def incomplete_answer(url: str) -> ServerError:
    """The stream of `url` ended, and the server has not said that it is done."""
    return ServerError(f"{url} ended the stream before the end of the answer: the answer is incomplete")


def lacking_output(output: str) -> ServerError:
    """An answer has no tensor `output`."""
    return ServerError(
        f"the server's answer has no {output}: check that client and server have the same version"
    )


def _unreachable(url: str, reason: object) -> str:
    return f"no server answers at {url} ({reason}): check that it runs and that the address is right"
