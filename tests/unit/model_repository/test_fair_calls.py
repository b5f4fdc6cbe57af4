"""Fair scheduling of the judge's calls."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from model_repository.verdict.logic.fair_calls import FairCalls, Share


def run(steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(steps(), 10)

    asyncio.run(bounded())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def wait(share: Share, calls: int) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(share.acquire()) for _ in range(calls)]


def test_a_request_has_no_more_than_its_share() -> None:
    async def steps() -> None:
        share = FairCalls(calls=4, calls_of_request=2).share()
        tasks = wait(share, 3)
        await settle()
        assert [task.done() for task in tasks] == [True, True, False]
        share.release()
        await settle()
        assert tasks[2].done()
        assert share.in_flight == 2

    run(steps)


def test_the_request_with_the_fewest_calls_is_next_and_equals_take_turns() -> None:
    async def steps() -> None:
        calls = FairCalls(calls=3, calls_of_request=8)
        large, other, small = calls.share(), calls.share(), calls.share()
        first = wait(large, 6)
        await settle()
        second, third = wait(other, 6), wait(small, 1)
        await settle()
        assert (large.in_flight, other.in_flight, small.in_flight) == (3, 0, 0)
        large.release()
        await settle()
        assert (large.in_flight, other.in_flight, small.in_flight) == (2, 1, 0)
        large.release()
        await settle()
        assert (large.in_flight, other.in_flight, small.in_flight) == (1, 1, 1)
        small.release()
        await settle()
        assert (large.in_flight, other.in_flight) == (2, 1)
        large.release()
        await settle()
        assert (large.in_flight, other.in_flight) == (1, 2)
        for task in (*first, *second, *third):
            task.cancel()

    run(steps)


def test_a_call_that_nobody_waits_for_any_more_goes_to_the_next() -> None:
    async def steps() -> None:
        calls = FairCalls(calls=1, calls_of_request=1)
        holder, gone, patient = calls.share(), calls.share(), calls.share()
        await holder.acquire()
        (leaving,), (waiting,) = wait(gone, 1), wait(patient, 1)
        await settle()
        leaving.cancel()
        holder.release()
        await asyncio.wait_for(waiting, 1)
        assert (holder.in_flight, gone.in_flight, patient.in_flight) == (0, 0, 1)
        assert gone.started_s is None

    run(steps)


def test_a_call_that_came_as_its_waiter_left_is_given_back() -> None:
    async def steps() -> None:
        calls = FairCalls(calls=1, calls_of_request=1)
        holder, gone = calls.share(), calls.share()
        await holder.acquire()
        (leaving,) = wait(gone, 1)
        await settle()
        holder.release()
        leaving.cancel()
        await settle()
        assert gone.in_flight == 0
        await asyncio.wait_for(calls.share().acquire(), 1)

    run(steps)


def test_a_new_request_goes_before_equals() -> None:
    async def steps() -> None:
        calls = FairCalls(calls=2, calls_of_request=1)
        large = [calls.share(), calls.share()]
        tasks = [task for share in large for task in wait(share, 3)]
        await settle()
        small = calls.share()
        tasks += wait(small, 1)
        await settle()
        large[0].release()
        await settle()
        assert (large[0].in_flight, large[1].in_flight, small.in_flight) == (0, 1, 1)
        for task in tasks:
            task.cancel()

    run(steps)
