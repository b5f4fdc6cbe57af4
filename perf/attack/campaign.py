"""Many attacks at once: who sends which, how each ended, and which were under way at a moment."""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

# So many of the last finished ones count as under way: a death may show a little after its cause.
REMEMBERED = 32
Item = TypeVar("Item")


class Campaign:
    """Counts how requests end by kind and status; another thread may ask which are under way."""

    def __init__(self) -> None:
        self._outcomes: dict[str, Counter[str]] = {}
        self._examples: dict[str, str] = {}
        self._lock = threading.Lock()
        self._in_flight: dict[int, str] = {}
        self._finished: deque[str] = deque(maxlen=REMEMBERED)

    def under_way(self) -> list[str]:
        """What is being sent or was finished last, the latest first."""
        with self._lock:
            return [*self._in_flight.values(), *reversed(self._finished)]

    def examples(self) -> dict[str, str]:
        """The first request of each kind that ended with a status, by both."""
        with self._lock:
            return dict(self._examples)

    def take_outcomes(self) -> dict[str, dict[str, int]]:
        """Outcomes since the last call, which begin anew."""
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
        """Make and send the item of each number, `at_once` of them side by side."""
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
