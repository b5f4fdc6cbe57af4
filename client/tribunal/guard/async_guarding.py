"""Guards a stream with asyncio: reads and checks concurrently."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from typing import Any

from tribunal.contract import JudgeMode
from tribunal.guard.cutting import Check, GuardedText
from tribunal.guard.errors import StreamFlagged
from tribunal.guard.options import GuardOptions
from tribunal.verdict import Verdict

AsyncAsk = Callable[[Sequence[str], JudgeMode | None], Awaitable[Sequence[Verdict]]]
# What the reader hands over: the text of a chunk, or None at the end.
Handover = asyncio.Queue[str | None]


async def async_guarded(
    ask: AsyncAsk, chunks: AsyncIterable[Any], options: GuardOptions
) -> AsyncGenerator[str]:
    """The text of `chunks` that `options` allow to release.

    ask: returns the verdicts of texts. Raises StreamFlagged, and the errors of `ask` and `chunks`. When it
    ends, it closes `chunks` and cancels a check in flight.
    """
    guarding = _Guarding(ask, chunks, options)
    try:
        while not guarding.text.is_complete:
            await guarding.step()
            if piece := guarding.text.take():
                yield piece
    finally:
        await guarding.cancel()


class _Guarding:
    """One stream, and its tasks: one reads all chunks, one waits for the next text, one runs a check."""

    def __init__(self, ask: AsyncAsk, chunks: AsyncIterable[Any], options: GuardOptions) -> None:
        self.text = GuardedText(options)
        self._ask = ask
        self._handover: Handover = asyncio.Queue(1)
        # One task reads all chunks, because a generator may hold a timeout that belongs to a task.
        self._reader = asyncio.create_task(_read(chunks, options, self._handover))
        self._arriving: asyncio.Task[str | None] | None = None
        self._checking: asyncio.Task[Check] | None = None

    async def step(self) -> None:
        """Start the tasks that are due, wait until one ends, and note what it found; raises its error."""
        if self._checking is None and (check := self.text.next_check()) is not None:
            self._checking = asyncio.create_task(_checked(self._ask, check, self.text))
        if self._arriving is None and self.text.has_room:
            self._arriving = asyncio.create_task(self._handover.get())
        waited_for = self._started if self._reader.done() else [*self._started, self._reader]
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        if self._reader.done():
            self._reader.result()
        if self._checking is not None and self._checking.done():
            self.text.passed(self._checking.result())
            self._checking = None
        if self._arriving is not None and self._arriving.done():
            self._receive(self._arriving.result())
            self._arriving = None

    async def cancel(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        tasks = [*self._started, self._reader]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _started(self) -> list[asyncio.Task[Any]]:
        return [task for task in (self._arriving, self._checking) if task is not None]

    def _receive(self, received: str | None) -> None:
        """Take in the text of a chunk, or None at the end."""
        if received is None:
            self.text.end()
        else:
            self.text.add(received)


async def _checked(ask: AsyncAsk, check: Check, text: GuardedText) -> Check:
    """Return `check` if it passed; raises StreamFlagged otherwise."""
    for texts, judge in check.questions:
        for verdict in await ask(texts, judge):
            if verdict.flagged:
                raise StreamFlagged(verdict, text.released_chars)
    return check


async def _read(chunks: AsyncIterable[Any], options: GuardOptions, handover: Handover) -> None:
    """Hand over the text of each chunk as fast as it is consumed, close the chunks, and hand over the end."""
    try:
        async for chunk in chunks:
            await handover.put(options.read(chunk))
    finally:
        close = getattr(chunks, "aclose", None) or getattr(chunks, "close", None)
        if close is not None:
            closed = close()
            if inspect.isawaitable(closed):
                await closed
    await handover.put(None)
