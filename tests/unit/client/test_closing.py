"""A closed client, for both clients and both protocols: its calls end at once with a TribunalError."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tribunal import AsyncClient, Client, InvalidInput

from tests.unit.client.http_server import HttpServer, http_server
from tests.unit.client.kserve_server import KserveServer, kserve_server

CLOSED = "the client is closed: make a new one, or enter it again by `with`"


@pytest.fixture(params=["grpc", "http"])
def server(request: pytest.FixtureRequest) -> Iterator[KserveServer | HttpServer]:
    with ExitStack() as running:
        if request.param == "grpc":
            yield running.enter_context(kserve_server())
        else:
            yield running.enter_context(http_server())


def hold(server: KserveServer | HttpServer) -> None:
    """Leave every later call without an answer."""
    if isinstance(server, KserveServer):
        server.hold = True
    else:
        server.ignore_bodies = True


def test_a_closed_client_refuses_calls_until_it_is_entered_again(server: KserveServer | HttpServer) -> None:
    client = Client(server.url)
    assert not client.moderate("a text").flagged
    for _ in range(2):
        client.close()
        for call in (lambda: client.moderate("a text"), client.is_ready, client.info):
            with pytest.raises(InvalidInput, match=CLOSED):
                call()
        with pytest.raises(InvalidInput, match=CLOSED):
            list(client.stream_judgement("a text"))
    with client:
        assert not client.moderate("a text").flagged
    with pytest.raises(InvalidInput, match=CLOSED):
        client.moderate("a text")


def test_a_closed_async_client_refuses_calls_until_it_is_entered_again(
    server: KserveServer | HttpServer,
) -> None:
    async def ask() -> None:
        client = AsyncClient(server.url)
        assert not (await client.moderate("a text")).flagged
        for _ in range(2):
            await client.close()
            for call in (lambda: client.moderate("a text"), client.is_ready, client.info):
                with pytest.raises(InvalidInput, match=CLOSED):
                    await call()
            with pytest.raises(InvalidInput, match=CLOSED):
                [piece async for piece in client.stream_judgement("a text")]
        async with client:
            assert not (await client.moderate("a text")).flagged

    asyncio.run(ask())


def test_closing_ends_the_calls_of_other_threads(server: KserveServer | HttpServer) -> None:
    client = Client(server.url, timeout_s=20.0)
    assert not client.moderate("a text").flagged
    hold(server)
    outcomes: list[object] = []
    asking = threading.Thread(
        target=lambda: outcomes.extend(client.moderate_batch(["held"], return_errors=True))
    )
    asking.start()
    time.sleep(0.2)
    client.close()
    asking.join(10.0)
    assert [type(outcome) for outcome in outcomes] == [InvalidInput]
    assert str(outcomes[0]) == CLOSED


def test_closing_ends_the_calls_of_other_tasks(server: KserveServer | HttpServer) -> None:
    async def ask() -> list[BaseException | object]:
        client = AsyncClient(server.url, timeout_s=20.0)
        assert not (await client.moderate("a text")).flagged
        hold(server)
        calls = [
            asyncio.create_task(client.moderate("held")),
            asyncio.create_task(client.moderate_batch(["held"])),
        ]
        await asyncio.sleep(0.2)
        await client.close()
        async with asyncio.timeout(10.0):
            return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(ask())
    assert [type(outcome) for outcome in outcomes] == [InvalidInput] * 2
    assert {str(outcome) for outcome in outcomes} == {CLOSED}
