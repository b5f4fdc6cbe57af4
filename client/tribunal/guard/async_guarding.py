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
    text = GuardedText(options)
    handover: Handover = asyncio.Queue(1)
    # One task reads all chunks, because a generator may hold a timeout that belongs to a task.
    reader = asyncio.create_task(_read(chunks, options, handover))
    arriving: asyncio.Task[str | None] | None = None
    checking: asyncio.Task[Check] | None = None
    try:
        while not text.is_complete:
            if checking is None and (check := text.next_check()) is not None:
                checking = asyncio.create_task(_checked(ask, check, text))
            if arriving is None and text.has_room:
                arriving = asyncio.create_task(handover.get())
            waited_for = {task for task in (arriving, checking) if task is not None}
            await asyncio.wait(
                waited_for if reader.done() else {*waited_for, reader}, return_when=asyncio.FIRST_COMPLETED
            )
            if reader.done():
                reader.result()
            if checking is not None and checking.done():
                text.passed(checking.result())
                checking = None
            if arriving is not None and arriving.done():
                received = arriving.result()
                arriving = None
                if received is None:
                    text.end()
                else:
                    text.add(received)
            if piece := text.take():
                yield piece
    finally:
        tasks = [task for task in (arriving, checking, reader) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
