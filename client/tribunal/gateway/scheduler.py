"""Limits the texts in flight, lets callers take turns, and refuses requests that would wait too long."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tribunal.gateway.errors import overloaded

# Weight of the newest measurement in the moving average.
SMOOTHING = 0.2
# Shorter measurements are too noisy.
MEASURED_S = 0.25


@dataclass(eq=False)
class Waiting:
    """One piece of work in the queue of its caller."""

    cost: int
    turn: asyncio.Future[None]


@dataclass
class Queue:
    """The waiting work of one caller, and its total cost."""

    works: deque[Waiting] = field(default_factory=deque)
    cost: int = 0


@dataclass
class Scheduler:
    """A queue for each caller, served in turn.

    max_in_flight: cost of the work in flight; a piece that costs more runs alone.
    max_wait_s: requests that would wait longer are refused. The wait is estimated from the throughput in cost
    per second, which is measured while requests wait, and until then assumed to be max_in_flight.
    max_waiting: cost of all waiting work.
    """

    max_in_flight: int
    max_wait_s: float
    max_waiting: int
    in_flight: int = 0
    waiting: int = 0
    _queues: OrderedDict[str, Queue] = field(default_factory=OrderedDict)
    _cost_per_s: float = field(init=False)
    _done: int = 0
    _full_since_s: float | None = None

    def __post_init__(self) -> None:
        self._cost_per_s = self.max_in_flight

    def require_room(self, caller: str, cost: int) -> None:
        """Raise GatewayError 429 if work of this caller would wait too long."""
        if not self.waiting and self._fits(cost):
            return
        wait_s = self.expected_wait_s(caller, cost)
        if wait_s > self.max_wait_s or self.waiting + cost > self.max_waiting:
            raise overloaded(wait_s)

    @asynccontextmanager
    async def turn(self, caller: str, cost: int) -> AsyncIterator[None]:
        """Wait for this caller's turn, and count `cost` as in flight within the block."""
        await self._enter(caller, cost)
        try:
            yield
        finally:
            self._leave(cost)

    def expected_wait_s(self, caller: str, cost: int) -> float:
        """Estimated wait in seconds of a request of this caller."""
        own = self._queues[caller].cost if caller in self._queues else 0
        # Callers take turns, so each other caller is served as much as this one, at most its whole queue.
        others = sum(min(queue.cost, own + cost) for name, queue in self._queues.items() if name != caller)
        return (own + others) / self._cost_per_s

    async def _enter(self, caller: str, cost: int) -> None:
        if not self.waiting and self._fits(cost):
            self._start(cost)
            return
        work = Waiting(cost, asyncio.get_running_loop().create_future())
        queue = self._queues.setdefault(caller, Queue())
        queue.works.append(work)
        queue.cost += cost
        self.waiting += cost
        try:
            await work.turn
        except asyncio.CancelledError:
            if work.turn.done() and not work.turn.cancelled():
                self._leave(cost)
            else:
                self._forget(caller, work)
            raise

    def _forget(self, caller: str, work: Waiting) -> None:
        queue = self._queues.get(caller)
        if queue is not None and work in queue.works:
            self._remove(caller, queue, work)
            self._serve()

    def _remove(self, caller: str, queue: Queue, work: Waiting) -> None:
        queue.works.remove(work)
        queue.cost -= work.cost
        self.waiting -= work.cost
        if not queue.works:
            del self._queues[caller]

    def _leave(self, cost: int) -> None:
        self.in_flight -= cost
        self._done += cost
        self._measure()
        self._serve()

    def _serve(self) -> None:
        """Start the work that fits, one piece of each caller in turn."""
        while self._queues:
            caller, queue = next(iter(self._queues.items()))
            work = queue.works[0]
            # Several may be cancelled at once; the first to run finds the others still queued.
            if work.turn.cancelled():
                self._remove(caller, queue, work)
                continue
            if not self._fits(work.cost):
                break
            self._queues.move_to_end(caller)
            self._remove(caller, queue, work)
            self._start(work.cost)
            work.turn.set_result(None)
        if not self.waiting:
            self._full_since_s = None

    def _fits(self, cost: int) -> bool:
        return not self.in_flight or self.in_flight + cost <= self.max_in_flight

    def _start(self, cost: int) -> None:
        self.in_flight += cost

    def _measure(self) -> None:
        """Measure the throughput in cost per second while the queue is never empty."""
        now_s = time.monotonic()
        if not self.waiting:
            self._full_since_s = None
            return
        if self._full_since_s is None:
            self._full_since_s, self._done = now_s, 0
            return
        passed_s = now_s - self._full_since_s
        if passed_s < MEASURED_S or not self._done:
            return
        measured = self._done / passed_s
        self._cost_per_s += SMOOTHING * (measured - self._cost_per_s)
        self._full_since_s, self._done = now_s, 0
