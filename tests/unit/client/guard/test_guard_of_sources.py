"""How the guards treat the source of a stream: back-pressure, closing, and cancelling."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from tribunal import Verdict
from tribunal.contract import JudgeMode
from tribunal.guard import StreamFlagged
from tribunal.guard.async_guarding import async_guarded
from tribunal.guard.cutting import AHEAD_CHARS
from tribunal.guard.guarding import guarded

from tests.unit.client.guard.guarded_streams import (
    HARMFUL,
    TEXT,
    AsyncSource,
    Source,
    options,
    pieces_of,
    verdict,
)


def test_reading_stops_while_a_check_waits() -> None:
    source = Source(["x" * 64] * 1000)
    held = threading.Event()

    def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        held.wait(60)
        return [verdict(False) for _ in texts]

    given: list[str] = []
    reading = threading.Thread(target=lambda: given.extend(guarded(ask, source, options())))
    reading.start()
    while source.read * 64 < AHEAD_CHARS:
        assert reading.is_alive()
        time.sleep(0.01)
    reading.join(0.3)
    assert source.read * 64 == AHEAD_CHARS
    held.set()
    reading.join()
    assert len("".join(given)) == 64_000


def test_asyncio_stops_reading_while_nobody_takes_what_is_released() -> None:
    source = AsyncSource(["The bread is fresh. "] * 1000)

    async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        return [verdict(False) for _ in texts]

    async def take_one() -> None:
        async with aclosing(async_guarded(ask, source, options())) as pieces:
            await anext(pieces)
            before = source.read
            for _ in range(1000):
                await asyncio.sleep(0)
            assert source.read <= before + 3
        assert source.closed

    asyncio.run(take_one())


def test_asyncio_stops_reading_while_a_check_waits() -> None:
    source = AsyncSource(["x" * 64] * 1000)

    async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        await asyncio.Event().wait()
        raise AssertionError

    async def wait_for_the_first() -> None:
        first = asyncio.ensure_future(anext(async_guarded(ask, source, options())))
        for _ in range(20_000):
            await asyncio.sleep(0)
        assert AHEAD_CHARS <= source.read * 64 <= AHEAD_CHARS + 2 * 64
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert source.closed

    asyncio.run(wait_for_the_first())


def test_cancelling_cancels_the_check_and_closes_the_source() -> None:
    source = AsyncSource(pieces_of(TEXT))
    ended: list[str] = []

    async def scenario() -> None:
        asked = asyncio.Event()

        async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            raise AssertionError

        async def read() -> None:
            async for _ in async_guarded(ask, source, options()):
                pass

        reading = asyncio.create_task(read())
        await asked.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(scenario())
    assert ended == ["cancelled"]
    assert source.closed


def test_a_source_that_is_cancelled_by_itself_ends_the_stream() -> None:
    async def source() -> AsyncIterator[str]:
        yield "The bread"
        raise asyncio.CancelledError

    async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        return [verdict(False) for _ in texts]

    async def read() -> list[str]:
        return [piece async for piece in async_guarded(ask, source(), options())]

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(read())


def test_the_source_is_read_in_one_task() -> None:
    """A generator may hold a timeout, which belongs to the task that entered it."""

    async def source() -> AsyncIterator[str]:
        async with asyncio.timeout(30):
            for piece in pieces_of(TEXT):
                await asyncio.sleep(0)
                yield piece

    async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        return [verdict(HARMFUL in text) for text in texts]

    async def read() -> None:
        async for _ in async_guarded(ask, source(), options()):
            pass

    with pytest.raises(StreamFlagged):
        asyncio.run(read())
