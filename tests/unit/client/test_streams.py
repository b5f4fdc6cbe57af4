"""Streams that end abnormally: they must not hang, nor return a partial answer as complete."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tribunal import AsyncClient, Client, DeadlineExceeded, ServerError

from tests.unit.client.kserve_server import KserveServer, kserve_server, piece

TIMEOUT_S = 1.0


def stream(url: str, pieces: list[str]) -> None:
    with Client(url, timeout_s=TIMEOUT_S) as client:
        for text in client.stream_judgement("a text"):
            pieces.append(text)


def stream_async(url: str, pieces: list[str]) -> None:
    async def ask() -> None:
        async with AsyncClient(url, timeout_s=TIMEOUT_S) as client:
            async for text in client.stream_judgement("a text"):
                pieces.append(text)

    asyncio.run(ask())


both_clients = pytest.mark.parametrize("ask", [stream, stream_async])
Ask = Callable[[str, list[str]], None]


@pytest.fixture
def server() -> Iterator[KserveServer]:
    with kserve_server() as running:
        yield running


@both_clients
@pytest.mark.parametrize("last", [[piece("c", is_final=True)], [piece("c"), piece(None, is_final=True)]])
def test_the_final_mark_comes_with_the_last_piece_or_after_it(
    server: KserveServer, ask: Ask, last: list[Any]
) -> None:
    pieces: list[str] = []
    server.stream = lambda: iter([piece("a"), piece("b"), *last])
    ask(server.url, pieces)
    assert pieces == ["a", "b", "c"]


@both_clients
@pytest.mark.parametrize("sent", [[], ["toxic", ". It"]])
def test_a_stream_that_ends_without_its_final_mark_is_incomplete(
    server: KserveServer, ask: Ask, sent: list[str]
) -> None:
    pieces: list[str] = []
    server.stream = lambda: (piece(text) for text in sent)
    with pytest.raises(ServerError, match="ended the stream before the end of the answer"):
        ask(server.url, pieces)
    assert pieces == sent


@both_clients
@pytest.mark.parametrize("sent", [[], ["toxic"]])
def test_a_stream_that_goes_silent_ends_by_its_deadline(
    server: KserveServer, ask: Ask, sent: list[str]
) -> None:
    released = threading.Event()

    def silent() -> Iterator[Any]:
        yield from (piece(text) for text in sent)
        released.wait()

    pieces: list[str] = []
    server.stream = silent
    try:
        with pytest.raises(DeadlineExceeded, match="within 1 s"):
            ask(server.url, pieces)
    finally:
        released.set()
    assert pieces == sent


@both_clients
def test_a_stream_that_breaks_off_is_not_begun_anew(server: KserveServer, ask: Ask) -> None:
    begun: list[int] = []

    def breaks() -> Iterator[Any]:
        begun.append(1)
        yield piece("toxic")
        raise ConnectionError

    pieces: list[str] = []
    server.stream = breaks
    with pytest.raises(ServerError):
        ask(server.url, pieces)
    assert (pieces, begun) == (["toxic"], [1])


@both_clients
def test_an_error_inside_the_stream_is_raised(server: KserveServer, ask: Ask) -> None:
    answer = piece(None)
    answer.error_message = "the engine died"
    server.stream = lambda: iter([piece("toxic"), answer])
    with pytest.raises(ServerError, match="the engine died"):
        ask(server.url, [])
