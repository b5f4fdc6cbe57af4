"""The errors that both protocols share, with what to do about each."""

from tribunal.errors import (
    AccessDenied,
    InvalidInput,
    Overloaded,
    ServerError,
    ServerUnavailable,
    TribunalError,
)

# Parts of Triton's messages about an unknown input, or too many inputs.
UNKNOWN_INPUT = ("unexpected inference input", "expected number of inputs")
# "Not found" means a wrong server, unless the message names a model that the server could load.
UNLOADED = "has no available versions"


class NoConnection(ServerUnavailable):
    """The connection failed; `diagnosis` may find out why."""


def no_connection(url: str, reason: object) -> NoConnection:
    """No server answers at `url`, or it speaks another protocol."""
    return NoConnection(_unreachable(url, reason))


def unavailable(url: str, reason: object, retry_after_s: float | None = None) -> ServerUnavailable:
    """The connection to `url` was lost, or the server cannot answer now."""
    return ServerUnavailable(_unreachable(url, reason), retry_after_s)


def overloaded(url: str, reason: str, retry_after_s: float | None) -> Overloaded:
    """The server at `url` reports that it is overloaded."""
    return Overloaded(f"{url} is overloaded ({reason}): try again later", retry_after_s)


def access_denied(url: str, reason: str) -> AccessDenied:
    """The server at `url`, or a gateway in front of it, refuses the credentials."""
    return AccessDenied(f"{url} refuses these credentials ({reason})")


def invalid_request(reason: str) -> TribunalError:
    """The server refuses the request, because it is invalid or has an input that an older server lacks."""
    if any(words in reason for words in UNKNOWN_INPUT):
        return ServerError(f"the server is too old for an option of this call ({reason}): update the server")
    return InvalidInput(reason)


def closed_client() -> InvalidInput:
    """A call on a client after `close()`, or during it."""
    return InvalidInput("the client is closed: make a new one, or enter it again by `with`")


def incomplete_answer(url: str) -> ServerError:
    """The stream of `url` ended before the final response."""
    return ServerError(f"{url} ended the stream before the end of the answer: the answer is incomplete")


def lacking_output(output: str) -> ServerError:
    """An answer has no tensor `output`."""
    return ServerError(
        f"the server's answer has no {output}: check that client and server have the same version"
    )


def _unreachable(url: str, reason: object) -> str:
    return f"no server answers at {url} ({reason}): check that it runs and that the address is right"
