"""Single calls of the asyncio client: sent at once while the server is idle, and batched while they wait."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from tribunal import AsyncClient, Connection, DeadlineExceeded, InvalidInput, ServerError, Verdict
from tribunal.contract import JudgeMode
from tribunal.gathering import REQUESTS_AT_ENCODERS

from tests.unit.client.kserve_server import KserveServer, kserve_server

LONG = "a" * 1001
WAITING = 40


@pytest.fixture
def server() -> Iterator[KserveServer]:
    with kserve_server() as running:
        yield running


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def busy(server: KserveServer, client: AsyncClient) -> AsyncIterator[list[asyncio.Task[Verdict]]]:
    """The maximum number of calls in flight, which the server answers at the end of the block."""
    server.hold = True
    first = [
        asyncio.create_task(client.moderate(f"first {number}", judge="never"))
        for number in range(REQUESTS_AT_ENCODERS)
    ]
    await until(lambda: server.in_flight == REQUESTS_AT_ENCODERS)
    yield first
    server.hold = False
    await asyncio.gather(*first)


def moderated(
    client: AsyncClient, texts: list[str], judge: JudgeMode = "never"
) -> list[asyncio.Task[Verdict]]:
    return [asyncio.create_task(client.moderate(text, judge=judge)) for text in texts]


def test_a_call_is_sent_at_once_while_the_server_is_free(server: KserveServer) -> None:
    async def ask() -> None:
        async with AsyncClient(server.url) as client, busy(server, client):
            pass

    asyncio.run(ask())
    assert sorted(server.requests) == [[f"first {number}"] for number in range(REQUESTS_AT_ENCODERS)]


def test_calls_that_wait_are_gathered_by_what_they_ask(server: KserveServer) -> None:
    texts = [f"waiting {number}" for number in range(WAITING)]

    async def ask() -> list[Verdict]:
        async with AsyncClient(server.url) as client:
            async with busy(server, client):
                waiting = moderated(client, texts)
                await asyncio.sleep(0)
            verdicts = await asyncio.gather(*waiting)
            queues = client._open_now().gatherer._queues
            assert all(queue.in_flight == 0 and not queue.waiting for queue in queues.values())
            return verdicts

    verdicts = asyncio.run(ask())
    assert [verdict.toxicity.reason for verdict in verdicts] == texts
    assert sorted(server.requests[REQUESTS_AT_ENCODERS:], key=len) == [texts[32:], texts[:32]]


def test_calls_with_and_without_spans_are_never_in_one_request(server: KserveServer) -> None:
    async def ask() -> list[Verdict]:
        async with AsyncClient(server.url) as client:
            async with busy(server, client):
                calls = [
                    asyncio.create_task(
                        client.moderate(
                            f"{'spans' if number % 2 else 'plain'} {number}",
                            judge="never",
                            spans=bool(number % 2),
                        )
                    )
                    for number in range(WAITING)
                ]
                await until(lambda: server.in_flight == 2 * REQUESTS_AT_ENCODERS)
            return await asyncio.gather(*calls)

    assert len(asyncio.run(ask())) == WAITING
    assert max(map(len, server.requests)) > 1, "none was gathered"
    for texts, inputs in zip(server.requests, server.inputs, strict=True):
        assert {text.startswith("spans") for text in texts} == {"spans" in inputs}


def test_calls_that_ask_the_judge_are_not_held_up(server: KserveServer) -> None:
    texts = [f"judged {number}" for number in range(REQUESTS_AT_ENCODERS + 10)]

    async def ask() -> None:
        async with AsyncClient(server.url) as client:
            server.hold = True
            asked = moderated(client, texts, judge="always")
            await until(lambda: server.in_flight == len(texts))
            server.hold = False
            await asyncio.gather(*asked)

    asyncio.run(ask())
    assert sorted(server.requests) == sorted([text] for text in texts)


@pytest.mark.parametrize(("judge_status", "is_gathered"), [("skipped", True), ("answered", False)])
def test_the_servers_own_mode_is_seen_in_its_answers(
    server: KserveServer, judge_status: str, is_gathered: bool
) -> None:
    server.judge_status = judge_status

    async def ask() -> None:
        async with AsyncClient(server.url) as client:
            await client.moderate("what is the default here?")
            server.hold = True
            asked = [asyncio.create_task(client.moderate(f"text {number}")) for number in range(10)]
            await until(lambda: server.in_flight >= REQUESTS_AT_ENCODERS)
            await asyncio.sleep(0.1)
            server.hold = False
            await asyncio.gather(*asked)

    asyncio.run(ask())
    assert (max(len(request) for request in server.requests) > 1) == is_gathered


@pytest.mark.parametrize(("bad", "error"), [(LONG, InvalidInput), ("poison", ServerError)])
def test_a_bad_text_fails_its_own_call_alone(server: KserveServer, bad: str, error: type[Exception]) -> None:
    async def ask() -> list[Verdict | BaseException]:
        async with AsyncClient(server.url) as client:
            async with busy(server, client):
                waiting = moderated(client, ["one", "two", bad, "three"])
                await asyncio.sleep(0)
            return await asyncio.gather(*waiting, return_exceptions=True)

    outcomes = asyncio.run(ask())
    assert ["one", "two", bad, "three"] in server.requests
    assert [type(outcome) for outcome in outcomes] == [Verdict, Verdict, error, Verdict]


def test_an_invalid_text_fails_before_it_waits(server: KserveServer) -> None:
    async def ask() -> None:
        async with AsyncClient(server.url) as client:
            with pytest.raises(InvalidInput, match="text is a int"):
                await client.moderate(5)  # type: ignore[arg-type]

    asyncio.run(ask())
    assert server.requests == []


def test_a_caller_that_is_cancelled_leaves_the_others(server: KserveServer) -> None:
    gathered = ["one", "left in flight", "two"]

    async def ask() -> list[Verdict | BaseException]:
        async with AsyncClient(server.url) as client:
            server.held_text = "two"
            async with busy(server, client):
                waiting = moderated(client, [*gathered, "left in the queue"])
                await asyncio.sleep(0)
                waiting[3].cancel()
            await until(lambda: gathered in server.requests)
            waiting[1].cancel()
            await asyncio.sleep(0.1)
            server.held_text = ""
            return await asyncio.gather(*waiting, return_exceptions=True)

    outcomes = asyncio.run(ask())
    assert server.requests[REQUESTS_AT_ENCODERS:] == [gathered]
    left = asyncio.CancelledError
    assert [type(outcome) for outcome in outcomes] == [Verdict, left, Verdict, left]
    assert server.cancelled == 0


def test_a_request_whose_callers_have_all_left_is_cancelled(server: KserveServer) -> None:
    async def ask() -> None:
        async with AsyncClient(server.url) as client:
            async with busy(server, client):
                pass
            server.hold = True
            asked = moderated(client, ["left"])
            await until(lambda: server.in_flight == 1)
            asked[0].cancel()
            await until(lambda: server.cancelled == 1)
            server.hold = False
            assert isinstance(await client.moderate("goes on", judge="never"), Verdict)

    asyncio.run(ask())


def test_each_caller_keeps_its_own_deadline(server: KserveServer) -> None:
    async def ask() -> None:
        async with AsyncClient(server.url, timeout_s=1.0) as client:
            server.hold = True
            early = moderated(client, ["early"] * REQUESTS_AT_ENCODERS)
            queued = moderated(client, ["queued"])
            await asyncio.sleep(0.6)
            late = moderated(client, ["late"])
            with pytest.raises(DeadlineExceeded, match="within 1 s"):
                await queued[0]
            server.hold = False
            assert isinstance(await late[0], Verdict)
            outcomes = await asyncio.gather(*early, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {DeadlineExceeded}

    asyncio.run(ask())
    assert [text for request in server.requests for text in request].count("late") == 1
    assert "queued" not in [text for request in server.requests for text in request]


def test_the_limits_of_the_connection_hold(server: KserveServer) -> None:
    texts = [f"{number:02}" * 200 for number in range(12)]

    async def ask() -> list[Verdict]:
        connection = Connection(max_in_flight=2, max_message_bytes=1000)
        async with AsyncClient(server.url, connection=connection) as client:
            return await asyncio.gather(*moderated(client, texts))

    verdicts = asyncio.run(ask())
    assert [verdict.toxicity.reason for verdict in verdicts] == texts
    assert server.most_in_flight <= 2
    assert max(len(request) for request in server.requests) == 2


def test_a_client_serves_a_new_loop_after_one_that_ended_with_calls_under_way(server: KserveServer) -> None:
    client = AsyncClient(server.url)

    async def leave() -> None:
        async with client:
            server.hold = True
            moderated(client, [f"left {number}" for number in range(20)])
            await until(lambda: server.in_flight == REQUESTS_AT_ENCODERS)

    async def ask() -> Verdict:
        async with client:
            return await client.moderate("a text", judge="never")

    asyncio.run(leave())
    server.hold = False
    assert asyncio.run(ask()).toxicity.reason == "a text"
