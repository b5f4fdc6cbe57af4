"""Sends many attacks concurrently and records how each ended and which are in flight."""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

# Number of the last finished requests that count as in flight, because a crash may show after its cause.
REMEMBERED = 32
Item = TypeVar("Item")


class Campaign:
    """Counts the requests by kind and status; other threads may ask which are in flight."""

    def __init__(self) -> None:
        self._outcomes: dict[str, Counter[str]] = {}
        self._examples: dict[str, str] = {}
        self._lock = threading.Lock()
        self._in_flight: dict[int, str] = {}
        self._finished: deque[str] = deque(maxlen=REMEMBERED)

    def under_way(self) -> list[str]:
        """The requests in flight, then the last finished ones, the latest first."""
        with self._lock:
            return [*self._in_flight.values(), *reversed(self._finished)]

    def examples(self) -> dict[str, str]:
        """The first request of each kind and status."""
        with self._lock:
            return dict(self._examples)

    def take_outcomes(self) -> dict[str, dict[str, int]]:
        """Return the outcomes since the last call and reset them."""
        with self._lock:
            taken, self._outcomes = self._outcomes, {}
        return {kind: dict(statuses) for kind, statuses in taken.items()}

    async def run(
        self,
        numbers: range,
        make: Callable[[int], Item],
        send: Callable[[Item], Awaitable[str]],
        kind_of: Callable[[Item], str],
        *,
        at_once: int,
        on_sent: Callable[[], object],
    ) -> None:
        """Make and send the item of each number, `at_once` of them concurrently."""
        remaining = iter(numbers)

        async def work() -> None:
            for number in remaining:
                item = make(number)
                description = f"number {number}, {item}"
                with self._lock:
                    self._in_flight[number] = description
                status = await send(item)
                with self._lock:
                    del self._in_flight[number]
                    self._finished.append(f"{description}: {status}")
                    self._outcomes.setdefault(kind_of(item), Counter())[status] += 1
                    self._examples.setdefault(f"{kind_of(item)}: {status}", description)
                on_sent()

        async with asyncio.TaskGroup() as workers:
            for _ in range(at_once):
                workers.create_task(work())
