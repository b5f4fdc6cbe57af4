"""A value that belongs to one event loop: another loop gets its own."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from tribunal.transport.deadline import CLOSE_S

Value = TypeVar("Value")


@dataclass(eq=False)
class _Held(Generic[Value]):
    """The value of one loop; `ending` closes it when it is closed itself, or when the loop ends."""

    value: Value
    ending: AsyncGenerator[None]


class LoopOwned(Generic[Value]):
    """The value of the running event loop, such as its connection, made at the first use.

    asyncio.run, Runner and their like end a loop by `shutdown_asyncgens`, which closes the value. The value
    of a loop that was closed without it is dropped.

    make: makes the value of the running loop. close: closes it in its loop.
    """

    def __init__(self, make: Callable[[], Value], close: Callable[[Value], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._held: dict[tuple[int, asyncio.AbstractEventLoop], _Held[Value]] = {}

    def value(self) -> Value:
        """The value of the running loop."""
        owner = (os.getpid(), asyncio.get_running_loop())
        held = self._held.get(owner)
        if held is None:
            self._drop_closed_loops()
            value = self._make()
            held = self._held[owner] = _Held(value, self._until_the_end(owner, value))
            # The first step has nothing to wait for; it makes the generator known to the loop.
            with suppress(StopIteration):
                held.ending.__anext__().send(None)
        return held.value

    async def close(self) -> None:
        """Close the value of this loop, and of loops that run in other threads; waits CLOSE_S at most."""
        running = asyncio.get_running_loop()
        for (process, loop), held in list(self._held.items()):
            if process != os.getpid():
                continue
            if loop is running:
                await held.ending.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(held.ending.aclose(), loop)
        self._drop_closed_loops()

    async def _until_the_end(
        self, owner: tuple[int, asyncio.AbstractEventLoop], value: Value
    ) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._held.pop(owner, None)
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._close(value)

    def _drop_closed_loops(self) -> None:
        for process, loop in list(self._held):
            if process == os.getpid() and loop.is_closed():
                self._held.pop((process, loop), None)
