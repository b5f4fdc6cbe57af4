"""Asks the judge about texts: within a time limit, few at once, and only while somebody waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from .answer import UNAVAILABLE, Judgement, Status, worst

# How often it is asked whether the caller still waits.
CALLER_CHECK_PERIOD_S = 0.5

# Asks about one piece of a text, with or without a reason.
Ask = Callable[[str, bool], Awaitable[Judgement]]


class CallerGone(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Limits:
    """timeout_s: of a request. calls, calls_of_request: how many at once, of all requests and of one."""

    timeout_s: float
    calls: int
    calls_of_request: int


@dataclass(frozen=True)
class Question:
    """A text, and whether a reason is to be generated."""

    text: str
    explain: bool


@dataclass
class Judging:
    """What all requests share.

    split: gives the pieces of a text that the judge reads one by one.
    observe: takes what became of a text, and after how many seconds.
    warn: takes a line for the log.
    """

    ask: Ask
    split: Callable[[str], list[str]]
    limits: Limits
    observe: Callable[[Status, float], None]
    warn: Callable[[str], None]
    _calls: asyncio.Semaphore = field(init=False)
    _in_flight: set[asyncio.Task[Judgement]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._calls = asyncio.Semaphore(self.limits.calls)

    async def judge(
        self, questions: Sequence[Question], caller_is_gone: Callable[[], bool]
    ) -> list[Judgement]:
        """Judgement of each question; raises CallerGone."""
        slots = asyncio.Semaphore(self.limits.calls_of_request)
        tasks = [asyncio.create_task(self._judge_text(question, slots)) for question in questions]
        waiting = set(tasks)
        try:
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=CALLER_CHECK_PERIOD_S)
                if waiting and caller_is_gone():
                    raise CallerGone
        finally:
            _cancel(tasks)
        return [task.result() for task in tasks]

    async def _judge_text(self, question: Question, slots: asyncio.Semaphore) -> Judgement:
        started_s = time.monotonic()
        try:
            judgement = await self._judge_pieces(question, slots)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the policy decides
            self.warn(f"a text could not be given to the judge: {error!r}")
            judgement = UNAVAILABLE
        self.observe(judgement.status, time.monotonic() - started_s)
        return judgement

    async def _judge_pieces(self, question: Question, slots: asyncio.Semaphore) -> Judgement:
        tasks = [
            asyncio.create_task(self._ask_in_turn(piece, question.explain, slots))
            for piece in self.split(question.text)
        ]
        try:
            done, late = await asyncio.wait(tasks, timeout=self.limits.timeout_s)
        finally:
            _cancel(tasks)
        if late:
            limit = f"{self.limits.timeout_s:g} s"
            self.warn(f"{len(late)} of {len(tasks)} pieces of a text not answered within {limit}")
        return worst([task.result() if task in done else UNAVAILABLE for task in tasks])

    async def _ask_in_turn(self, piece: str, explain: bool, slots: asyncio.Semaphore) -> Judgement:
        async with slots:
            await self._calls.acquire()
            # A call cannot be taken back: it keeps its place among all calls until it ends.
            call = asyncio.create_task(self._call(piece, explain))
            self._in_flight.add(call)
            call.add_done_callback(self._in_flight.discard)
            return await asyncio.shield(call)

    async def _call(self, piece: str, explain: bool) -> Judgement:
        try:
            return await self.ask(piece, explain)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the policy decides
            self.warn(f"the judge could not be asked: {error!r}")
            return UNAVAILABLE
        finally:
            self._calls.release()


def _cancel(tasks: Sequence[asyncio.Task[Judgement]]) -> None:
    for task in tasks:
        task.cancel()
