"""Batches: how a client splits many texts, and the results of texts that the server refuses."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from tribunal import (
    AsyncClient,
    Client,
    Connection,
    DeadlineExceeded,
    InvalidInput,
    ServerError,
    TribunalError,
    Verdict,
)

from tests.unit.client.kserve_server import Failure, KserveServer, kserve_server

LONG = "a" * 1001
TEXTS = [f"text {row}" for row in range(100)]


def ask_batch(
    url: str, texts: list[Any], timeout_s: float = 10.0, max_in_flight: int = 64, **options: Any
) -> Any:
    connection = Connection(max_in_flight=max_in_flight)
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        return client.moderate_batch(texts, **options)


def ask_batch_async(
    url: str, texts: list[Any], timeout_s: float = 10.0, max_in_flight: int = 64, **options: Any
) -> Any:
    async def ask() -> Any:
        connection = Connection(max_in_flight=max_in_flight)
        async with AsyncClient(url, timeout_s=timeout_s, connection=connection) as client:
            return await client.moderate_batch(texts, **options)

    return asyncio.run(ask())


Ask = Callable[..., Any]
both_clients = pytest.mark.parametrize("ask", [ask_batch, ask_batch_async])


@pytest.fixture
def server() -> Iterator[KserveServer]:
    with kserve_server() as running:
        yield running


def reasons(outcomes: list[Verdict | TribunalError]) -> list[str | None]:
    """The text of each verdict, which the server returns as the reason."""
    return [outcome.toxicity.reason if isinstance(outcome, Verdict) else None for outcome in outcomes]


@both_clients
def test_requests_run_side_by_side_in_the_order_of_the_texts(server: KserveServer, ask: Ask) -> None:
    texts = [f"text {row}" for row in range(32 * 12 + 5)]
    server.hold = True
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, server.url, texts)
        while server.in_flight < 8:
            time.sleep(0.01)
        server.hold = False
        assert reasons(asked.result()) == texts
    assert server.most_in_flight == 8
    assert sorted(len(request) for request in server.requests) == [5] + [32] * 12


@both_clients
def test_no_more_requests_than_max_in_flight(server: KserveServer, ask: Ask) -> None:
    texts = [f"text {row}" for row in range(32 * 6)]
    assert reasons(ask(server.url, texts, max_in_flight=2)) == texts
    assert server.most_in_flight <= 2


@both_clients
def test_the_deadline_is_of_the_whole_call(server: KserveServer, ask: Ask) -> None:
    server.hold = True
    started_s = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="within 1 s"):
        ask(server.url, TEXTS, timeout_s=1.0, max_in_flight=1)
    assert time.monotonic() - started_s < 3.0


@both_clients
def test_a_bad_text_fails_the_call_and_is_named_by_its_place(server: KserveServer, ask: Ask) -> None:
    texts = [*TEXTS[:40], LONG, *TEXTS[40:]]
    with pytest.raises(InvalidInput, match=r"^text\[40\] has 1001 bytes; the limit is 1000$"):
        ask(server.url, texts)


@both_clients
def test_a_bad_text_has_its_own_error_and_fails_no_neighbour(server: KserveServer, ask: Ask) -> None:
    texts = ["first", 5, LONG, *TEXTS, "\ud800", LONG]
    outcomes = ask(server.url, texts, return_errors=True)
    assert reasons(outcomes) == ["first", None, None, *TEXTS, None, None]
    errors = [str(outcome) for outcome in outcomes if isinstance(outcome, InvalidInput)]
    assert errors == [
        "texts[1] is a int, not a string",
        "text[0] has 1001 bytes; the limit is 1000",
        "texts[103] is not valid Unicode: character 0 surrogates not allowed",
        "text[0] has 1001 bytes; the limit is 1000",
    ]


@both_clients
def test_too_many_windows_for_one_request_are_more_requests(server: KserveServer, ask: Ask) -> None:
    texts = ["window " * 3 for _ in range(32)]
    assert reasons(ask(server.url, texts)) == texts
    answered = [request for request in server.requests if len(request) * 3 <= 40]
    assert [len(request) for request in answered] == [8, 8, 8, 8]


@both_clients
def test_other_errors_stand_where_they_are_asked_for(server: KserveServer, ask: Ask) -> None:
    server.failures.append(Failure(grpc.StatusCode.INTERNAL, "the model failed"))
    outcomes = ask(server.url, TEXTS[:64], return_errors=True, max_in_flight=1)
    assert [type(outcome) for outcome in outcomes] == [ServerError] * 32 + [Verdict] * 32
    with pytest.raises(ServerError, match="the model failed"):
        ask(server.url, ["poison", *TEXTS])


@both_clients
def test_a_single_string_is_no_batch(server: KserveServer, ask: Ask) -> None:
    with pytest.raises(InvalidInput, match="a single string"):
        ask(server.url, "text", return_errors=True)
    assert ask(server.url, []) == []
    assert server.requests == []
