"""The states of the queue, without a server: order, filling, refusals, and callers that go."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest
from tribunal.batches import Outcome
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.moderation.queue import CALLERS_ASKED, MAX_REQUEST_COST, Queue, Size
from tribunal.gateway.moderation.turns import CALLERS_REMEMBERED, Text

ONE = Size(requests=1, texts=1)
Asking = asyncio.Task[list[str]]


@dataclass
class Sent:
    """A request that the test answers."""

    texts: list[str]
    answer: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    was_cancelled: bool = False


class Asked:
    """A queue, its requests in order, and the waits that it noted."""

    def __init__(self, size: Size = ONE, max_wait_s: float = 10.0, max_waiting: int = 10_000) -> None:
        self.sent: list[Sent] = []
        self.waits: list[float] = []
        self.queue = Queue(size, max_wait_s, max_waiting, self.waits.append)

    @property
    def texts(self) -> list[list[str]]:
        return [request.texts for request in self.sent]

    async def ask(self, caller: str, texts: Sequence[str], cost: int = 1, kind: Hashable = "plain") -> Asking:
        """Ask in a task, and let the queue run."""
        task = asyncio.create_task(self.asking(caller, texts, cost, kind))
        await settle()
        return task

    async def asking(
        self, caller: str, texts: Sequence[str], cost: int = 1, kind: Hashable = "plain"
    ) -> list[str]:
        """The outcome of each text, which is the text."""
        self.queue.require_room(caller, cost * len(texts))
        entry = self.queue.enter(caller, kind, [Text(text.encode(), cost) for text in texts], self._send)
        try:
            return cast(list[str], await entry.outcomes())
        finally:
            self.queue.leave(entry)

    async def answer(self, number: int = -1, error: Exception | None = None) -> None:
        """Answer the request with this number; by default the newest."""
        answer = self.sent[number].answer
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)
        await settle()

    async def answer_all(self) -> None:
        while open_ones := [request for request in self.sent if not request.answer.done()]:
            for request in open_ones:
                request.answer.set_result(None)
            await settle()

    async def _send(self, texts: list[bytes]) -> list[Outcome]:
        request = Sent([text.decode() for text in texts])
        self.sent.append(request)
        try:
            await request.answer
        except asyncio.CancelledError:
            request.was_cancelled = True
            raise
        return cast(list[Outcome], request.texts)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def numbered(name: str, count: int) -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def test_a_single_text_is_sent_at_once_while_there_is_room() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=2, texts=8))
        for name in ("a", "b"):
            await asked.ask(name, [name])
        assert asked.texts == [["a"], ["b"]]
        assert asked.queue.waiting == 0
        await asked.answer_all()

    run(test)


def test_texts_of_one_moment_are_admitted_one_by_one() -> None:
    async def test() -> None:
        asked = Asked(max_wait_s=0)
        asking = [asyncio.create_task(asked.asking("a", [text])) for text in numbered("t", 100)]
        await settle()
        assert asked.texts == [["t0"]]
        refused = [task for task in asking if task.done() and isinstance(task.exception(), GatewayError)]
        # One is in flight, and nothing waited before the next one.
        assert len(refused) == 98
        await asked.answer_all()
        assert await asking[0] == ["t0"]

    run(test)


def test_texts_that_wait_fill_the_next_request() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=64))
        tasks = [await asked.ask("a", [text]) for text in numbered("t", 130)]
        assert asked.texts == [["t0"]]
        await asked.answer_all()
        assert [len(texts) for texts in asked.texts] == [1, 64, 64, 1]
        assert [await task for task in tasks] == [[text] for text in numbered("t", 130)]

    run(test)


def test_a_batch_is_kept_whole() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=8))
        await asked.ask("a", ["first"])
        tasks = [await asked.ask(name, numbered(name, 5)) for name in ("a", "b", "c")]
        await asked.ask("d", numbered("d", 3))
        await asked.answer_all()
        sent = [[*numbered("a", 5), *numbered("d", 3)], numbered("b", 5), numbered("c", 5)]
        assert asked.texts == [["first"], *sent]
        assert [await task for task in tasks] == [numbered(name, 5) for name in ("a", "b", "c")]

    run(test)


def test_a_large_batch_is_cut_into_whole_requests() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=2, texts=64))
        task = await asked.ask("a", numbered("t", 150))
        await asked.answer_all()
        assert [len(texts) for texts in asked.texts] == [64, 64, 22]
        assert await task == numbered("t", 150)

    run(test)


def test_a_request_has_a_limit_on_its_cost() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=64))
        await asked.ask("a", ["first"])
        await asked.ask("a", numbered("long", 3), cost=MAX_REQUEST_COST // 2)
        await asked.ask("b", ["huge"], cost=2 * MAX_REQUEST_COST)
        await asked.answer_all()
        assert asked.texts == [["first"], ["long0", "long1"], ["huge"], ["long2"]]

    run(test)


def test_only_texts_of_one_kind_share_a_request() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=8))
        await asked.ask("a", ["first"])
        for number in range(6):
            await asked.ask("a", [f"t{number}"], kind="odd" if number % 2 else "even")
        await asked.answer_all()
        assert asked.texts == [["first"], ["t0", "t2", "t4"], ["t1", "t3", "t5"]]

    run(test)


def test_callers_are_served_in_turn() -> None:
    async def test() -> None:
        asked = Asked()
        for text in ("a1", "a2", "a3", "b1"):
            await asked.ask(text[0], [text])
        await asked.answer_all()
        assert asked.texts == [["a1"], ["a2"], ["b1"], ["a3"]]

    run(test)


def test_a_caller_of_batches_gets_no_more_than_a_caller_of_single_texts() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=4))
        await asked.ask("first", ["first"])
        for number in range(3):
            await asked.ask("a", numbered(f"a{number}", 4))
        for text in numbered("b", 8):
            await asked.ask("b", [text])
        await asked.answer_all()
        assert [texts[0][0] for texts in asked.texts[1:]] == ["a", "b", "a", "b", "a"]

    run(test)


def test_a_request_is_filled_by_all_callers_in_turn() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=4))
        await asked.ask("first", ["first"])
        for name in "abc":
            for text in numbered(name, 3):
                await asked.ask(name, [text])
        await asked.answer_all()
        assert asked.texts[1:] == [["a0", "b0", "c0", "a1"], ["b1", "c1", "a2", "b2"], ["c2"]]

    run(test)


def test_the_limit_on_the_cost_in_flight_holds() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=9, texts=64, cost=3))
        await asked.ask("a", ["two"], cost=2)
        await asked.ask("a", ["also two"], cost=2)
        await asked.ask("b", ["one"])
        assert asked.texts == [["two"]]
        assert (asked.queue.in_flight, asked.queue.waiting) == (2, 3)
        await asked.answer()
        assert asked.texts == [["two"], ["also two", "one"]]
        await asked.answer_all()

    run(test)


def test_a_text_larger_than_the_limit_is_sent_alone() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=9, texts=64, cost=2))
        await asked.ask("a", ["small"])
        await asked.ask("a", ["huge"], cost=50)
        assert asked.texts == [["small"]]
        await asked.answer()
        assert asked.texts == [["small"], ["huge"]]
        await asked.answer_all()

    run(test)


def test_a_change_of_size_serves_parts_of_the_old_size() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=64))
        await asked.ask("a", ["first"])
        await asked.ask("a", numbered("old", 64))
        asked.queue.size = Size(requests=1, texts=8)
        await asked.ask("a", numbered("new", 10))
        await asked.answer_all()
        assert [len(texts) for texts in asked.texts] == [1, 64, 8, 2]

    run(test)


def test_a_caller_that_goes_while_it_waits_is_dropped() -> None:
    async def test() -> None:
        asked = Asked()
        await asked.ask("a", ["first"])
        second = await asked.ask("a", ["second"], cost=7)
        third = await asked.ask("a", ["third"])
        second.cancel()
        await settle()
        assert asked.queue.waiting == 1
        await asked.answer_all()
        assert asked.texts == [["first"], ["third"]]
        assert await third == ["third"]
        assert (asked.queue.in_flight, asked.queue.waiting) == (0, 0)

    run(test)


def test_a_caller_that_goes_never_cancels_what_was_sent() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=2))
        first = await asked.ask("a", numbered("a", 3))
        other = await asked.ask("b", ["b"])
        first.cancel()
        await settle()
        assert (asked.queue.in_flight, asked.queue.waiting) == (2, 1), "a part of it waited, and is dropped"
        assert not asked.sent[0].was_cancelled
        draining = asyncio.create_task(asked.queue.drain())
        await settle()
        assert not draining.done()
        await asked.answer_all()
        await draining
        assert asked.texts == [["a0", "a1"], ["b"]]
        assert await other == ["b"]

    run(test)


def test_a_caller_that_goes_leaves_the_others_of_its_request() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=8))
        await asked.ask("first", ["first"])
        tasks = [await asked.ask(name, [name]) for name in ("a", "b", "c")]
        await asked.answer()
        tasks[1].cancel()
        await asked.answer()
        assert asked.texts == [["first"], ["a", "b", "c"]]
        assert [await task for task in (tasks[0], tasks[2])] == [["a"], ["c"]]

    run(test)


def test_callers_that_go_all_at_once_leave_no_trace() -> None:
    async def test() -> None:
        asked = Asked()
        tasks = [await asked.ask("a", [text]) for text in numbered("t", 5)]
        for task in tasks:
            task.cancel()
        await settle()
        assert (asked.queue.in_flight, asked.queue.waiting) == (1, 0)
        await asked.answer_all()
        assert asked.texts == [["t0"]]
        assert asked.queue.in_flight == 0

    run(test)


def test_an_error_is_raised_for_each_caller_of_the_request() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=8))
        await asked.ask("first", ["first"])
        tasks = [await asked.ask(name, [name]) for name in ("a", "b")]
        await asked.answer()
        await asked.answer(error=ValueError("failed"))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["failed", "failed"]
        assert asked.queue.in_flight == 0

    run(test)


def test_more_than_may_wait_is_refused() -> None:
    async def test() -> None:
        asked = Asked(max_waiting=2)
        await asked.ask("a", ["first"])
        await asked.ask("a", ["second"], cost=2)
        with pytest.raises(GatewayError) as raised:
            await (await asked.ask("a", ["third"]))
        assert raised.value.status == 429
        assert raised.value.headers["Retry-After"] == "2"
        await asked.answer_all()

    run(test)


def test_only_the_caller_who_would_wait_too_long_is_refused() -> None:
    async def test() -> None:
        asked = Asked(max_wait_s=5.0)
        for text in numbered("t", 7):
            await asked.ask("a", [text])
        with pytest.raises(GatewayError) as raised:
            await (await asked.ask("a", ["refused"]))
        assert raised.value.headers["Retry-After"] == "6"
        await asked.ask("b", ["other"])
        assert asked.queue.waiting == 7
        await asked.answer_all()
        assert (asked.queue.in_flight, asked.queue.waiting) == (0, 0)

    run(test)


def test_the_wait_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: now_s)
    for module in ("queue", "turns", "throughput"):
        monkeypatch.setattr(f"tribunal.gateway.moderation.{module}.time", clock)

    async def test() -> None:
        nonlocal now_s
        asked = Asked(max_wait_s=100.0)
        tasks = [await asked.ask("a", [text]) for text in numbered("t", 80)]
        # The queue assumed one text a second, but there are four.
        for _ in range(40):
            now_s += 0.25
            await asked.answer()
        assert asked.queue.waiting == 39
        assert asked.queue.expected_wait_s("a", 1) == pytest.approx(39 / 4, rel=0.05)
        assert asked.waits == [number / 4 for number in range(41)]
        for task in tasks:
            task.cancel()
        await asked.answer_all()

    run(test)


def test_callers_who_come_once_are_forgotten() -> None:
    async def test() -> None:
        asked = Asked(max_wait_s=1e6)
        await asked.ask("first", ["first"])
        await asked.ask("always", numbered("t", 2 * CALLERS_REMEMBERED))
        for number in range(CALLERS_REMEMBERED + 2):
            await asked.ask(f"caller {number}", ["t"])
            await asked.answer()
            await asked.answer()
        await asked.answer_all()
        assert len(asked.queue._turns._callers) < CALLERS_REMEMBERED

    run(test)


def test_texts_of_another_kind_wait_for_a_request_of_their_own() -> None:
    async def test() -> None:
        asked = Asked(Size(requests=1, texts=8), max_wait_s=1e6)
        await asked.ask("first", ["first"])
        await asked.ask("plain", ["plain"])
        for number in range(CALLERS_ASKED + 5):
            await asked.ask(f"odd {number}", ["odd"], kind="odd")
        await asked.answer_all()
        assert asked.texts[1] == ["plain"]
        assert sum(len(texts) for texts in asked.texts) == CALLERS_ASKED + 7

    run(test)
