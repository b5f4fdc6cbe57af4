"""HTTP: deadlines that cover the sending, and responses that are not Triton's."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from tribunal import (
    AsyncClient,
    Client,
    Connection,
    DeadlineExceeded,
    InvalidInput,
    Overloaded,
    ServerError,
    ServerUnavailable,
    TribunalError,
    Verdict,
)

from tests.unit.client.http_server import HttpServer, Reply, http_server

# More than the socket buffers hold, so that sending waits until the server reads.
LARGE = "a" * 2**25
OUTPUT = (
    b'{"outputs": [{"name": "verdict", "datatype": "BYTES", "shape": [1, 1], '
    b'"parameters": {"binary_data_size": 6}}]}'
)
NO_RETRIES = Connection(retries=0)


def moderate(
    url: str, texts: list[str], timeout_s: float, connection: Connection
) -> list[Verdict | TribunalError]:
    """The result of each text, sent one after the other."""
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        return [client.moderate_batch([text], judge="never", return_errors=True)[0] for text in texts]


def moderate_async(
    url: str, texts: list[str], timeout_s: float, connection: Connection
) -> list[Verdict | TribunalError]:
    async def ask() -> list[Verdict | TribunalError]:
        async with AsyncClient(url, timeout_s=timeout_s, connection=connection) as client:
            return [
                (await client.moderate_batch([text], judge="never", return_errors=True))[0] for text in texts
            ]

    return asyncio.run(ask())


Ask = Callable[[str, list[str], float, Connection], list[Verdict | TribunalError]]
both_clients = pytest.mark.parametrize("ask", [moderate, moderate_async])


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


@both_clients
def test_a_deadline_that_passes_while_sending_leaves_the_client_usable(server: HttpServer, ask: Ask) -> None:
    server.ignore_bodies = True

    class Texts(list[str]):
        """Release the server before the last text."""

        def __iter__(self) -> Iterator[str]:
            yield from [LARGE, LARGE]
            server.ignore_bodies = False
            yield "a text"

    started_s = time.monotonic()
    outcomes = ask(server.url, Texts(), 0.5, Connection(max_in_flight=1, retries=0))
    assert [type(outcome) for outcome in outcomes] == [DeadlineExceeded, DeadlineExceeded, Verdict]
    assert str(outcomes[0]).endswith("within 0.5 s")
    assert time.monotonic() - started_s < 5


def _truncated(document: bytes) -> Reply:
    """A response with a tensor that declares 9 bytes and has 2."""
    return Reply(200, document + b"\x09\0\0\0ab", {"inference-header-content-length": str(len(document))})


@both_clients
@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Reply(429), Overloaded, r"is overloaded \(told so\): try again later"),
        (Reply(503), ServerUnavailable, r"told so"),
        (Reply(400), InvalidInput, "^told so$"),
        (
            Reply(400, b"{\"error\": \"unexpected inference input 'spans' for model 'moderation'\"}"),
            ServerError,
            r"^the server is too old for an option of this call \(.*'spans'.*\): update the server$",
        ),
        (Reply(500), ServerError, "told so"),
        (
            Reply(404, b'{"error": {"code": "not_found", "message": "no such\\n path"}}'),
            ServerError,
            r"^http://127.0.0.1:\d+: no such path$",
        ),
        (Reply(400, b'{"error": {"message": "bad", "code": "invalid_request"}}'), InvalidInput, "^bad$"),
        (Reply(429, b'{"error": {"message": "full"}}'), Overloaded, r"is overloaded \(full\): try again"),
        (Reply(404, b'{"error": {"code": 7}}'), ServerError, "HTTP 404 Not Found with application/json"),
        (Reply(404, b'{"error": null}'), ServerError, "HTTP 404 Not Found with application/json"),
        (Reply(404, b'{"error": ["a", "b"]}'), ServerError, "HTTP 404 Not Found with application/json"),
        (Reply(504), DeadlineExceeded, "a proxy in front of .* timed out"),
        (Reply(302, b"", {"location": "/login"}), ServerError, "HTTP 302 Found with no content type"),
        (
            Reply(200, b"<html>Welcome</html>", {"content-type": "text/html"}),
            ServerError,
            "text/html, which is not",
        ),
        (Reply(200, b"[1, 2]"), ServerError, "which is not Triton's answer: is a Tribunal server at"),
        (Reply(200, b'{"outputs": []}'), ServerError, "has no verdict"),
        (_truncated(OUTPUT), ServerError, r"6 bytes, which is not BYTES \[1, 1\]"),
    ],
)
def test_the_error_for_each_status(
    server: HttpServer, ask: Ask, reply: Reply, error: type[TribunalError], message: str
) -> None:
    server.replies.append(reply)
    (outcome,) = ask(server.url, ["a text"], 5.0, NO_RETRIES)
    assert type(outcome) is error
    with pytest.raises(error, match=message):
        raise outcome


@both_clients
@pytest.mark.parametrize("status", [400, 404, 502, 503])
def test_a_page_is_not_pasted_into_the_message(server: HttpServer, ask: Ask, status: int) -> None:
    page = b"<html>\r\n<head><title>Oh no</title></head>\r\n</html>"
    server.replies.append(Reply(status, page, {"content-type": "text/html"}))
    (outcome,) = ask(server.url, ["a text"], 5.0, NO_RETRIES)
    message = str(outcome)
    assert "<" not in message
    assert "\n" not in message
    assert f"HTTP {status}" in message
    assert "check" in message


@both_clients
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(server: HttpServer, ask: Ask, status: int) -> None:
    server.replies.append(Reply(status, headers={"retry-after": "1"}))
    started_s = time.monotonic()
    (outcome,) = ask(server.url, ["a text"], 10.0, Connection())
    assert isinstance(outcome, Verdict)
    assert time.monotonic() - started_s >= 1.0

    server.replies.append(Reply(status, headers={"retry-after": "60"}))
    (outcome,) = ask(server.url, ["a text"], 10.0, Connection())
    assert isinstance(outcome, ServerUnavailable)
    assert outcome.retry_after_s == 60.0


def test_neither_client_brings_another_event_loop_into_the_process(server: HttpServer) -> None:
    code = (
        "import sys, tribunal\n"
        "assert not {'numpy', 'grpc', 'httpx', 'tritonclient'} & set(sys.modules)\n"
        f"tribunal.Client({server.url!r}).moderate('x')\n"
        "assert not {'grpc', 'gevent', 'aiohttp'} & set(sys.modules)\n"
        "tribunal.Client('localhost:1')\n"
        "assert not {'gevent', 'aiohttp'} & set(sys.modules)\n"
    )
    # The clients are not closed; the process must exit nevertheless.
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize("url", ["http://host:port", "http://[::1"])
def test_an_invalid_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="url 'http"):
        Client(url)
