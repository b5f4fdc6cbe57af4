"""The order in which the scheduler serves callers, and its refusals."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.scheduler import Scheduler


def make(max_in_flight: int = 1, max_wait_s: float = 10.0, max_waiting: int = 1000) -> Scheduler:
    return Scheduler(max_in_flight, max_wait_s, max_waiting)


class Work:
    """Work that runs until the test ends it, and records its start."""

    def __init__(self, scheduler: Scheduler, started: list[str]) -> None:
        self.scheduler = scheduler
        self.started = started
        self.ends: dict[str, asyncio.Event] = {}

    def begin(self, name: str, caller: str = "a", cost: int = 1) -> asyncio.Task[None]:
        self.ends[name] = asyncio.Event()

        async def run() -> None:
            self.scheduler.require_room(caller, cost)
            async with self.scheduler.turn(caller, cost):
                self.started.append(name)
                await self.ends[name].wait()

        return asyncio.create_task(run())

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settle()


async def settle() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def test_callers_are_served_in_turn() -> None:
    async def test() -> None:
        started: list[str] = []
        work = Work(make(), started)
        for name, caller in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
            work.begin(name, caller)
            await settle()
        for name in ("a1", "a2", "b1", "a3"):
            await work.end(name)
        assert started == ["a1", "a2", "b1", "a3"]

    run(test)


def test_no_more_runs_than_may_be_in_flight() -> None:
    async def test() -> None:
        started: list[str] = []
        scheduler = make(max_in_flight=3)
        work = Work(scheduler, started)
        work.begin("two", cost=2)
        await settle()
        work.begin("also two", cost=2)
        work.begin("one", caller="b", cost=1)
        await settle()
        assert started == ["two"]
        assert (scheduler.in_flight, scheduler.waiting) == (2, 3)
        await work.end("two")
        assert started == ["two", "also two", "one"]

    run(test)


def test_work_larger_than_the_limit_runs_alone() -> None:
    async def test() -> None:
        started: list[str] = []
        work = Work(make(max_in_flight=2), started)
        work.begin("small")
        await settle()
        work.begin("huge", cost=50)
        await settle()
        assert started == ["small"]
        await work.end("small")
        assert started == ["small", "huge"]

    run(test)


@pytest.mark.parametrize("is_running", [False, True])
def test_work_whose_caller_goes_leaves_no_trace(is_running: bool) -> None:
    async def test() -> None:
        started: list[str] = []
        scheduler = make()
        work = Work(scheduler, started)
        first = work.begin("first")
        await settle()
        second = work.begin("second")
        third = work.begin("third")
        await settle()
        (first if is_running else second).cancel()
        await settle()
        assert started == (["first", "second"] if is_running else ["first"])
        for name in ("first", "second", "third"):
            await work.end(name)
        assert (scheduler.in_flight, scheduler.waiting) == (0, 0)
        assert third.done()

    run(test)


def test_a_caller_that_goes_as_its_turn_comes_gives_it_on() -> None:
    async def test() -> None:
        started: list[str] = []
        scheduler = make()
        work = Work(scheduler, started)
        work.begin("first")
        await settle()
        second = work.begin("second")
        work.begin("third")
        await settle()
        work.ends["first"].set()
        await asyncio.sleep(0)
        second.cancel()
        await settle()
        assert started[-1] == "third"
        await work.end("third")
        assert (scheduler.in_flight, scheduler.waiting) == (0, 0)

    run(test)


def test_callers_that_go_all_at_once_leave_no_trace() -> None:
    async def test() -> None:
        scheduler = make()
        work = Work(scheduler, [])
        tasks = [work.begin(str(index)) for index in range(5)]
        await settle()
        for task in tasks:
            task.cancel()
        await settle()
        assert (scheduler.in_flight, scheduler.waiting) == (0, 0)

    run(test)


def test_more_than_may_wait_is_refused() -> None:
    async def test() -> None:
        scheduler = make(max_waiting=2)
        work = Work(scheduler, [])
        work.begin("first")
        await settle()
        work.begin("second", cost=2)
        await settle()
        with pytest.raises(GatewayError) as raised:
            await work.begin("third")
        assert raised.value.status == 429
        assert raised.value.headers["Retry-After"] == "2"

    run(test)


def test_only_the_caller_who_would_wait_too_long_is_refused() -> None:
    async def test() -> None:
        scheduler = make(max_wait_s=5.0)
        work = Work(scheduler, [])
        for index in range(7):
            work.begin(str(index))
        await settle()
        with pytest.raises(GatewayError) as raised:
            await work.begin("refused")
        assert raised.value.headers["Retry-After"] == "6"
        work.begin("other", caller="b")
        await settle()
        assert scheduler.waiting == 7
        for name in work.ends:
            await work.end(name)
        assert (scheduler.in_flight, scheduler.waiting) == (0, 0)

    run(test)


def test_how_long_work_waits_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: now_s)
    monkeypatch.setattr("tribunal.gateway.scheduler.time", clock)

    async def test() -> None:
        nonlocal now_s
        scheduler = make(max_wait_s=100.0)
        work = Work(scheduler, [])
        for index in range(80):
            work.begin(str(index))
        await settle()
        # The scheduler assumed one piece of work a second, but there are four.
        for index in range(40):
            now_s += 0.25
            await work.end(str(index))
        assert scheduler.waiting == 39
        assert scheduler.expected_wait_s("a", 1) == pytest.approx(39 / 4, rel=0.05)

    run(test)
