"""The error of a call whose time ends in a try or between two, for both clients and both protocols."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import grpc
import pytest
from tribunal import (
    AsyncClient,
    Client,
    Connection,
    DeadlineExceeded,
    Overloaded,
    ServerUnavailable,
    TribunalError,
)
from tribunal.batches import Call, Outcome, Request
from tribunal.gathering import Gatherer
from tribunal.transport.messages import Question
from tribunal.transport.tries import Tries

from tests.unit.client.http_server import Reply, http_server
from tests.unit.client.kserve_server import Failure, kserve_server

AWAY = grpc.StatusCode.UNAVAILABLE
LATE = grpc.StatusCode.DEADLINE_EXCEEDED
GAVE_UP = r"away.* \(gave up after {} in [0-9.e-]+ s\)$"


def moderate(url: str, connection: Connection, timeout_s: float) -> TribunalError:
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        return raised(lambda: client.moderate("a text", judge="never"))


def moderate_async(url: str, connection: Connection, timeout_s: float) -> TribunalError:
    async def ask() -> None:
        async with AsyncClient(url, timeout_s=timeout_s, connection=connection) as client:
            await client.moderate("a text", judge="never")

    return raised(lambda: asyncio.run(ask()))


def raised(call: Callable[[], object]) -> TribunalError:
    with pytest.raises(TribunalError) as caught:
        call()
    return caught.value


Ask = Callable[[str, Connection, float], TribunalError]
both_clients = pytest.mark.parametrize("ask", [moderate, moderate_async])
both_protocols = pytest.mark.parametrize("protocol", ["grpc", "http"])


@pytest.fixture
def failing() -> Iterator[Callable[[str, Sequence[str]], str]]:
    """Serve answers that are `away`, `overloaded` or, at the end, `silence`; returns the address."""
    with ExitStack() as running:

        def serve(protocol: str, answers: Sequence[str]) -> str:
            if protocol == "grpc":
                kserve = running.enter_context(kserve_server())
                statuses = {"away": AWAY, "overloaded": grpc.StatusCode.RESOURCE_EXHAUSTED, "silence": LATE}
                kserve.failures.extend(Failure(statuses[answer], "away") for answer in answers)
                return kserve.url
            http = running.enter_context(http_server())
            statuses = {"away": 503, "overloaded": 429}
            http.replies.extend(
                Reply(statuses[answer], b'{"error": "away"}') for answer in answers if answer != "silence"
            )
            http.silent_at_end = "silence" in answers
            return http.url

        yield serve


@both_protocols
@both_clients
@pytest.mark.parametrize(
    ("answers", "kind", "tries"),
    [
        (["away", "silence"], ServerUnavailable, "2 tries"),
        (["overloaded", "silence"], Overloaded, "2 tries"),
        (["away", "overloaded", "away", "silence"], ServerUnavailable, "4 tries"),
    ],
)
def test_time_that_ends_in_a_later_try_gives_the_last_failure(
    failing: Callable[[str, Sequence[str]], str],
    ask: Ask,
    protocol: str,
    answers: list[str],
    kind: type[TribunalError],
    tries: str,
) -> None:
    error = ask(failing(protocol, answers), Connection(retries=10), 2.0)
    assert type(error) is kind
    with pytest.raises(kind, match=GAVE_UP.format(tries)):
        raise error


@both_protocols
@both_clients
def test_an_answer_that_never_comes_is_a_deadline(
    failing: Callable[[str, Sequence[str]], str], ask: Ask, protocol: str
) -> None:
    error = ask(failing(protocol, ["silence"]), Connection(retries=10), 0.5)
    assert type(error) is DeadlineExceeded
    assert str(error).endswith("within 0.5 s")


@both_protocols
@both_clients
def test_retries_that_are_used_up_are_counted(
    failing: Callable[[str, Sequence[str]], str], ask: Ask, protocol: str
) -> None:
    error = ask(failing(protocol, ["away"] * 9), Connection(retries=2), 10.0)
    with pytest.raises(ServerUnavailable, match=GAVE_UP.format("3 tries")):
        raise error
    error = ask(failing(protocol, ["away"] * 9), Connection(retries=0), 10.0)
    assert "gave up" not in str(error)


def test_a_caller_whose_time_ends_first_learns_the_last_failure_of_its_request() -> None:
    begun = asyncio.Event()

    async def ask(request: Request, call: Call) -> list[Outcome]:
        assert call.tries is not None
        with pytest.raises(ServerUnavailable), call.tries.one():
            raise ServerUnavailable("away")
        begun.set()
        await asyncio.Event().wait()
        return []

    async def call() -> None:
        gatherer = Gatherer(ask, lambda: Tries("host:1", 5.0, 3), 1)
        late = asyncio.create_task(
            gatherer.verdict(b"a text", Question("never", explain=True), time.monotonic() + 0.05)
        )
        await begun.wait()
        await late

    with pytest.raises(ServerUnavailable, match=GAVE_UP.format("1 try")):
        asyncio.run(call())


def test_a_success_forgets_the_failures_before_it() -> None:
    tries = Tries("host:1", 5.0, 3)
    for _ in range(2):
        with pytest.raises(ServerUnavailable), tries.one():
            raise ServerUnavailable("away", 7.0)
    error = tries.out_of_time()
    assert isinstance(error, ServerUnavailable)
    assert error.retry_after_s == 7.0
    with tries.one():
        pass
    with pytest.raises(TimeoutError), tries.one():
        raise TimeoutError
    assert type(tries.out_of_time()) is DeadlineExceeded
