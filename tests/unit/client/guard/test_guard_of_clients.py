"""`Client.guard` and `AsyncClient.guard` over gRPC."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from tribunal import AsyncClient, Client, InvalidInput

from tests.unit.client.kserve_server import KserveServer, kserve_server

TEXT = "One is here. Two is there."
GIVE_UP_S = 20.0


@pytest.fixture
def server() -> Iterator[KserveServer]:
    with kserve_server() as running:
        yield running


async def chunks() -> AsyncIterator[str]:
    for character in TEXT:
        yield character


def test_both_guards_release_checked_text(server: KserveServer) -> None:
    async def read() -> str:
        async with AsyncClient(server.url) as client:
            return "".join([piece async for piece in client.guard(chunks())])

    with Client(server.url) as client:
        assert "".join(client.guard(iter(TEXT))) == TEXT
    assert server.requests[-1] == [TEXT]
    assert asyncio.run(read()) == TEXT
    assert server.requests[-1] == [TEXT]


def test_options_are_refused_before_anything_is_read() -> None:
    with Client("localhost:1") as client, pytest.raises(InvalidInput, match="every is 0"):
        client.guard(iter(TEXT), every=0)

    async def refuse() -> None:
        async with AsyncClient("localhost:1") as client:
            client.guard(chunks(), overlap=-1)

    with pytest.raises(InvalidInput, match="overlap is -1"):
        asyncio.run(refuse())


def test_cancelling_reaches_the_server(server: KserveServer) -> None:
    async def scenario() -> None:
        server.hold = True
        async with AsyncClient(server.url) as client:
            reading = asyncio.ensure_future(anext(client.guard(chunks())))
            give_up_s = time.monotonic() + GIVE_UP_S
            while not server.in_flight:
                assert time.monotonic() < give_up_s
                await asyncio.sleep(0.005)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            while not server.cancelled:
                assert time.monotonic() < give_up_s
                await asyncio.sleep(0.005)

    asyncio.run(scenario())
    assert server.cancelled == 1
