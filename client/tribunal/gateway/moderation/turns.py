"""The waiting texts, by caller: who is next, and what waits."""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import count

from tribunal.batches import Outcome

# Callers who are remembered without waiting texts, so that a large request counts against the next one.
CALLERS_REMEMBERED = 1024

Send = Callable[[list[bytes]], Awaitable[list[Outcome]]]


@dataclass(frozen=True)
class Text:
    """A text in UTF-8, and its cost."""

    content: bytes
    cost: int


@dataclass(eq=False)
class Part:
    """Texts of one caller that are sent together.

    kind: parts of equal kinds may share a request. cost: of all its texts. waited_s: from its arrival to its
    sending; None: it waits. context: holds the caller's trace context.
    """

    kind: Hashable
    send: Send
    texts: Sequence[Text]
    cost: int = field(init=False)
    arrived_s: float = field(default_factory=lambda: time.monotonic())
    waited_s: float | None = None
    context: Context = field(default_factory=copy_context)
    outcomes: asyncio.Future[list[Outcome]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __post_init__(self) -> None:
        self.cost = sum(text.cost for text in self.texts)


@dataclass(eq=False)
class Caller:
    """One caller's waiting parts by kind, their cost, and the cost of what was served so far.

    number: of its turn, among callers with the same cost served.
    """

    served: int
    number: int = 0
    parts: dict[Hashable, deque[Part]] = field(default_factory=dict)
    cost: int = 0
    is_in_turn: bool = False

    def first(self, kind: Hashable | None = None) -> Part | None:
        """The oldest part that still waits: of this kind, or of all if `kind` is None."""
        heads = [self._head(of_kind) for of_kind in ([*self.parts] if kind is None else [kind])]
        return min((head for head in heads if head), key=lambda part: part.arrived_s, default=None)

    def _head(self, kind: Hashable) -> Part | None:
        parts = self.parts.get(kind, deque())
        # Nobody waits for these any more.
        while parts and parts[0].outcomes.done():
            parts.popleft()
        if not parts:
            self.parts.pop(kind, None)
            return None
        return parts[0]


class Turns:
    """The callers; the one with the smallest cost served is next.

    A caller that comes, or comes back, starts at the level of the one served last: nobody saves turns. When
    nothing waits, all start anew.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._callers: dict[str, Caller] = {}
        self._order: list[tuple[int, int, Caller]] = []
        self._numbers = count()
        self._level = 0
        self._remembered = CALLERS_REMEMBERED

    def add(self, name: str, part: Part) -> Caller:
        """Let `part` of the caller `name` wait."""
        if not self.waiting:
            self._callers.clear()
            self._order.clear()
            self._level = 0
        caller = self._caller(name)
        caller.parts.setdefault(part.kind, deque()).append(part)
        caller.cost += part.cost
        self.waiting += part.cost
        if not caller.is_in_turn:
            caller.served = max(caller.served, self._level)
            caller.number = next(self._numbers)
            self.put_back(caller)
        return caller

    def drop(self, caller: Caller, part: Part) -> None:
        """Forget a part that waits; it must be done."""
        part.texts = ()
        caller.cost -= part.cost
        self.waiting -= part.cost

    def next_caller(self) -> Caller | None:
        """Take the caller whose turn it is from the order; None if nothing waits."""
        while self._order:
            caller = heapq.heappop(self._order)[2]
            caller.is_in_turn = False
            if caller.first() is not None:
                return caller
        return None

    def put_back(self, caller: Caller) -> None:
        """Put a caller into the order again."""
        caller.is_in_turn = True
        heapq.heappush(self._order, (caller.served, caller.number, caller))

    def serve(self, caller: Caller, part: Part) -> None:
        """Take the caller's first part of its kind."""
        self._level = max(self._level, caller.served)
        caller.parts[part.kind].popleft()
        caller.served += part.cost
        caller.number = next(self._numbers)
        caller.cost -= part.cost
        self.waiting -= part.cost

    def cost_before(self, name: str, cost: int) -> int:
        """The cost of what is served before new work of `cost` of the caller `name`.

        Each other caller is served as much as this one, at most all that waits.
        """
        own = self._callers[name].cost if name in self._callers else 0
        return own + sum(
            min(caller.cost, own + cost) for other, caller in self._callers.items() if other != name
        )

    def _caller(self, name: str) -> Caller:
        if name not in self._callers:
            if len(self._callers) >= self._remembered:
                self._forget()
            self._callers[name] = Caller(self._level)
        return self._callers[name]

    def _forget(self) -> None:
        """Forget callers who have nothing waiting, and would come back at the level anyway."""
        self._callers = {
            name: caller
            for name, caller in self._callers.items()
            if caller.cost or caller.served > self._level
        }
        self._remembered = max(CALLERS_REMEMBERED, 2 * len(self._callers))
