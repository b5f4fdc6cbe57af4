"""gRPC: the error for each status, and the pause before a retry."""

import asyncio
import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from tribunal import (
    AccessDenied,
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

from tests.unit.client.kserve_server import Failure, KserveServer, kserve_server


def moderate(url: str, timeout_s: float, connection: Connection) -> Verdict:
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        return client.moderate("a text")


def moderate_async(url: str, timeout_s: float, connection: Connection) -> Verdict:
    async def ask() -> Verdict:
        async with AsyncClient(url, timeout_s=timeout_s, connection=connection) as client:
            return await client.moderate("a text")

    return asyncio.run(ask())


Ask = Callable[[str, float, Connection], Verdict]
both_clients = pytest.mark.parametrize("ask", [moderate, moderate_async])


@pytest.fixture
def server() -> Iterator[KserveServer]:
    with kserve_server() as running:
        yield running


@both_clients
@pytest.mark.parametrize(
    ("status", "details", "error"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests", Overloaded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)", InvalidInput),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "gRPC message exceeds maximum size 4: 9", InvalidInput),
        (grpc.StatusCode.INVALID_ARGUMENT, "text[0] has 70000 bytes", InvalidInput),
        (grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference input 'spans'", ServerError),
        (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size", ServerUnavailable),
        (grpc.StatusCode.NOT_FOUND, "model 'x' has no available versions", ServerUnavailable),
        (grpc.StatusCode.NOT_FOUND, "model 'x' is not found", ServerError),
        (grpc.StatusCode.PERMISSION_DENIED, "no", AccessDenied),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", DeadlineExceeded),
        (grpc.StatusCode.UNIMPLEMENTED, "", ServerError),
        (grpc.StatusCode.INTERNAL, "two\nlines", ServerError),
    ],
)
def test_which_error_a_status_is(
    server: KserveServer, ask: Ask, status: grpc.StatusCode, details: str, error: type[TribunalError]
) -> None:
    server.failures.append(Failure(status, details))
    with pytest.raises(error) as caught:
        ask(server.url, 5.0, Connection(retries=0))
    assert type(caught.value) is error
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@both_clients
@pytest.mark.parametrize(
    "reason",
    [
        "[request id: 7] unexpected inference input 'spans' for model 'moderation'",
        "expected number of inputs between 1 and 3 but got 4 inputs for model 'moderation'",
    ],
)
def test_an_input_that_the_server_does_not_have_asks_for_an_update(
    server: KserveServer, ask: Ask, reason: str
) -> None:
    server.failures.append(Failure(grpc.StatusCode.INVALID_ARGUMENT, reason))
    with pytest.raises(ServerError) as caught:
        ask(server.url, 5.0, Connection())
    assert str(caught.value) == (
        f"the server is too old for an option of this call ({reason}): update the server"
    )
    assert len(server.requests) == 1


@both_clients
@pytest.mark.parametrize("status", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE])
def test_the_pause_that_the_server_asks_for_is_honoured(
    server: KserveServer, ask: Ask, status: grpc.StatusCode
) -> None:
    server.failures.append(Failure(status, "later", (("retry-after", "1"),)))
    started_s = time.monotonic()
    assert ask(server.url, 10.0, Connection()).toxicity.reason == "a text"
    assert time.monotonic() - started_s >= 1.0
    assert len(server.requests) == 2

    server.failures.append(Failure(status, "much later", (("retry-after", "60"),)))
    with pytest.raises(ServerUnavailable) as caught:
        ask(server.url, 10.0, Connection())
    assert caught.value.retry_after_s == 60.0
    assert len(server.requests) == 3


@both_clients
def test_an_overloaded_server_is_asked_again(server: KserveServer, ask: Ask) -> None:
    full = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests")
    server.failures.extend([full] * 3)
    assert ask(server.url, 10.0, Connection()).toxicity.reason == "a text"
    server.failures.extend([full] * 2)
    with pytest.raises(Overloaded, match=r"is overloaded \(too many requests\): try again later"):
        ask(server.url, 10.0, Connection(retries=1))
