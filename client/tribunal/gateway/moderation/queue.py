"""One queue before Triton: admits, lets callers take turns, fills requests, and drops who has gone.

A caller's texts wait in parts. A part is sent whole, alone or with other parts of the same kind. A request
that has been sent is never cancelled, because a cancelled call can crash Triton 24.10.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tribunal.batches import Outcome
from tribunal.gateway.errors import overloaded
from tribunal.gateway.moderation.throughput import Throughput
from tribunal.gateway.moderation.turns import Caller, Part, Send, Text, Turns

# 256 KiB of text have fewer than the 1,024 windows that a server reads in one request, in any language.
MAX_REQUEST_COST = 256
# Callers in turn that are asked for parts of one request's kind.
CALLERS_ASKED = 256


@dataclass(frozen=True)
class Size:
    """What a queue sends: so many requests at a time, and so many texts in each.

    cost: of all texts in flight; None: no limit.
    """

    requests: int
    texts: int
    cost: int | None = None

    @property
    def request_cost(self) -> int:
        """The maximum cost of a request with several texts."""
        return MAX_REQUEST_COST if self.cost is None else min(self.cost, MAX_REQUEST_COST)


@dataclass(frozen=True)
class Entry:
    """The texts of one caller that entered a queue together: their parts in order, each with its caller."""

    parts: Sequence[tuple[Caller, Part]]

    @property
    def wait_s(self) -> float:
        """The longest wait in seconds of a part that was sent."""
        return max((part.waited_s or 0.0 for _, part in self.parts), default=0.0)

    async def outcomes(self) -> list[Outcome]:
        """The outcomes of the texts, in order; raises the error of a request at once."""
        of_parts = await asyncio.gather(*(part.outcomes for _, part in self.parts))
        return [outcome for of_part in of_parts for outcome in of_part]

    def add_done_callback(self, call: Callable[[], object]) -> None:
        """Call `call` when the last part has its outcomes, an error, or is dropped."""
        self.parts[-1][1].outcomes.add_done_callback(lambda _: call())


class Queue:
    """The texts that wait for Triton, and those in flight.

    size: may change at any time. max_wait_s: requests that would wait longer are refused. max_waiting: cost
    of all waiting texts. note_wait: is told the wait in seconds of each part that is sent.
    """

    def __init__(
        self, size: Size, max_wait_s: float, max_waiting: int, note_wait: Callable[[float], None]
    ) -> None:
        self.size = size
        self.in_flight = 0
        self._max_wait_s = max_wait_s
        self._max_waiting = max_waiting
        self._note_wait = note_wait
        self._turns = Turns()
        self._requests: set[asyncio.Task[None]] = set()
        self._throughput = Throughput(size.cost or size.requests * size.texts)

    @property
    def waiting(self) -> int:
        """Cost of the texts that wait."""
        return self._turns.waiting

    def require_room(self, caller: str, cost: int) -> None:
        """Raise GatewayError 429 if texts of this caller would wait too long."""
        if not self.waiting and self._has_room(cost) and self._is_sent_at_once(cost):
            return
        has_places = self.waiting + cost <= self._max_waiting
        # Nobody waits longer than all that waits takes.
        if has_places and self.waiting <= self._max_wait_s * self._throughput.cost_per_s:
            return
        wait_s = self.expected_wait_s(caller, cost)
        if wait_s > self._max_wait_s or not has_places:
            raise overloaded(wait_s)

    def expected_wait_s(self, caller: str, cost: int) -> float:
        """Estimated wait in seconds of texts of this caller."""
        return self._turns.cost_before(caller, cost) / self._throughput.cost_per_s

    def enter(self, caller: str, kind: Hashable, texts: Sequence[Text], send: Send) -> "Entry":
        """Let `texts` wait, and send what there is room for; the entry must leave in the end.

        It awaits nothing, so that no other request enters between `require_room` and this call.
        send: asks Triton about the texts of one request; of equal kinds only the first part's is called.
        """
        entry = Entry([(self._turns.add(caller, part), part) for part in self._parts(kind, texts, send)])
        self._serve()
        return entry

    def leave(self, entry: "Entry") -> None:
        """Nobody waits for these texts any more: drop them, or their outcomes if they are in flight."""
        for caller, part in entry.parts:
            if not part.outcomes.cancel() and not part.outcomes.cancelled():
                # Otherwise asyncio reports that nobody read it.
                part.outcomes.exception()
            if part.waited_s is None:
                self._turns.drop(caller, part)
        self._serve()

    async def drain(self) -> None:
        """Wait for the requests in flight, also those whose callers have gone."""
        while self._requests:
            await asyncio.wait(self._requests)

    def _parts(self, kind: Hashable, texts: Sequence[Text], send: Send) -> Iterator[Part]:
        """The texts in parts: as few as the size of a request allows."""
        part: list[Text] = []
        cost = 0
        for text in texts:
            if part and (len(part) == self.size.texts or cost + text.cost > self.size.request_cost):
                yield Part(kind, send, part)
                part, cost = [], 0
            part.append(text)
            cost += text.cost
        if part:
            yield Part(kind, send, part)

    def _serve(self) -> None:
        """Send requests while there is room for another."""
        while parts := self._next_request():
            now_s = time.monotonic()
            for part in parts:
                part.waited_s = now_s - part.arrived_s
                self._note_wait(part.waited_s)
            self.in_flight += sum(part.cost for part in parts)
            request = asyncio.create_task(self._answer(parts), context=parts[0].context)
            self._requests.add(request)
            request.add_done_callback(lambda done, parts=parts: self._end(done, parts))  # type: ignore[misc]

    def _next_request(self) -> list[Part]:
        """The parts of the next request: the next caller's oldest, and others of its kind that fit."""
        caller = self._turns.next_caller()
        first = caller.first() if caller else None
        if caller is None or first is None:
            return []
        if not self._has_room(first.cost):
            self._turns.put_back(caller)
            return []
        texts, cost = max(self.size.texts, len(first.texts)), max(self._request_cost(), first.cost)
        parts: list[Part] = []
        passed: list[Caller] = []
        while caller and texts and cost and len(passed) < CALLERS_ASKED:
            part = caller.first(first.kind)
            if part and len(part.texts) <= texts and part.cost <= cost:
                self._turns.serve(caller, part)
                self._turns.put_back(caller)
                parts.append(part)
                texts, cost = texts - len(part.texts), cost - part.cost
            else:
                passed.append(caller)
            caller = self._turns.next_caller()
        for other in [*passed, *([caller] if caller else [])]:
            self._turns.put_back(other)
        return parts

    def _has_room(self, cost: int) -> bool:
        """Whether a request of this cost may be sent; one that exceeds the limit is sent alone."""
        if not self._requests:
            return True
        is_within = self.size.cost is None or self.in_flight + cost <= self.size.cost
        return is_within and len(self._requests) < self.size.requests

    def _is_sent_at_once(self, cost: int) -> bool:
        """Whether texts of this cost are one request, or nothing is in flight."""
        return not self._requests or cost <= self.size.request_cost

    def _request_cost(self) -> int:
        """The maximum cost of a request with several texts now."""
        most = self.size.request_cost
        return most if self.size.cost is None else min(most, self.size.cost - self.in_flight)

    async def _answer(self, parts: Sequence[Part]) -> None:
        """Ask about the texts of `parts`, and give each part its outcomes."""
        try:
            outcomes = iter(await parts[0].send([text.content for part in parts for text in part.texts]))
        except Exception as error:  # noqa: BLE001 - it is raised where each caller waits
            for part in parts:
                if not part.outcomes.done():
                    part.outcomes.set_exception(error)
            return
        for part in parts:
            own = list(islice(outcomes, len(part.texts)))
            if not part.outcomes.done():
                part.outcomes.set_result(own)

    def _end(self, request: asyncio.Task[None], parts: Sequence[Part]) -> None:
        """A request is over, or was cancelled with its loop: send the next."""
        cost = sum(part.cost for part in parts)
        self._requests.discard(request)
        self.in_flight -= cost
        for part in parts:
            part.outcomes.cancel()
        self._throughput.note(cost, is_full=bool(self.waiting))
        if not request.cancelled():
            self._serve()
