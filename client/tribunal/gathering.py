"""Sends single texts immediately if the server is free, and batches those that have to wait."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from tribunal.batches import Call, Outcome, Request, only_verdict
from tribunal.contract import MAX_BATCH_SIZE
from tribunal.errors import InvalidInput, ServerError
from tribunal.transport.deadline import remaining_s
from tribunal.transport.messages import Question
from tribunal.transport.tries import Tries
from tribunal.verdict import Verdict

# So many requests with single texts keep a server's encoders busy; further texts wait and are batched.
REQUESTS_AT_ENCODERS = 4


@dataclass(eq=False)
class _Waiting:
    """One caller's text, its deadline on the monotonic clock, and where its outcome goes.

    context: holds the caller's trace context.
    """

    text: bytes
    deadline_s: float
    outcome: asyncio.Future[Outcome]
    context: Context = field(default_factory=copy_context)
    request: "_Gathered | None" = None


@dataclass(eq=False)
class _Gathered:
    """The callers of one request, and its tries."""

    callers: Sequence[_Waiting]
    tries: Tries
    task: "asyncio.Task[None] | None" = None

    def cancel_if_left(self) -> None:
        """Cancel the request if all its callers have cancelled."""
        if self.task is not None and all(caller.outcome.done() for caller in self.callers):
            self.task.cancel()


@dataclass(eq=False)
class _Queue:
    """The callers with the same options.

    asks_judge: whether the server asks the LLM, as its answers show; None before the first answer.
    """

    question: Question
    waiting: deque[_Waiting] = field(default_factory=deque)
    in_flight: int = 0
    asks_judge: bool | None = None

    def most_in_flight(self, max_in_flight: int) -> int:
        """The maximum of requests in flight.

        A text that waits for the LLM would delay the others of its request, so such texts are batched only
        beyond `max_in_flight`.
        """
        only_encoders = self.question.judge == "never" or (
            self.question.judge is None and self.asks_judge is False
        )
        return min(REQUESTS_AT_ENCODERS, max_in_flight) if only_encoders else max_in_flight

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Remember from verdicts whether the server asks the LLM."""
        for outcome in outcomes:
            if isinstance(outcome, Verdict):
                self.asks_judge = self.asks_judge or outcome.toxicity.status != "skipped"


class Gatherer:
    """Batches single texts of one client that have the same options.

    ask: returns an outcome for each text of a request, and raises no TribunalError.
    new_tries: counts the tries of a request.
    max_in_flight: of the connection.
    """

    def __init__(
        self,
        ask: Callable[[Request, Call], Awaitable[list[Outcome]]],
        new_tries: Callable[[], Tries],
        max_in_flight: int,
    ) -> None:
        self._ask = ask
        self._new_tries = new_tries
        self._max_in_flight = max_in_flight
        self._queues: dict[Question, _Queue] = {}

    async def verdict(self, text: bytes, question: Question, deadline_s: float) -> Verdict:
        """Verdict of `text`; raises TribunalErrors, after `deadline_s` that of `Tries.out_of_time`.

        Cancelling a caller does not affect the others of its request.
        """
        queue = self._queues.setdefault(question, _Queue(question))
        caller = _Waiting(text, deadline_s, asyncio.get_running_loop().create_future())
        queue.waiting.append(caller)
        self._send(queue)
        try:
            async with asyncio.timeout(remaining_s(deadline_s)):
                return only_verdict(await caller.outcome)
        except TimeoutError as error:
            tries = caller.request.tries if caller.request else self._new_tries()
            raise tries.out_of_time() from error
        finally:
            caller.outcome.cancel()
            if caller.request is not None:
                caller.request.cancel_if_left()

    def _send(self, queue: _Queue) -> None:
        """Send waiting texts, within the limit of requests in flight."""
        while queue.in_flight < queue.most_in_flight(self._max_in_flight):
            callers = self._next_callers(queue)
            if not callers:
                return
            gathered = _Gathered(callers, self._new_tries())
            for caller in callers:
                caller.request = gathered
            queue.in_flight += 1
            answering = self._answer(queue, gathered)
            gathered.task = asyncio.create_task(answering, context=callers[0].context)

    def _next_callers(self, queue: _Queue) -> list[_Waiting]:
        """The callers of the next request: those that still wait, up to the size of a request."""
        callers: list[_Waiting] = []
        while queue.waiting and len(callers) < MAX_BATCH_SIZE:
            caller = queue.waiting.popleft()
            if not caller.outcome.done():
                callers.append(caller)
        return callers

    async def _answer(self, queue: _Queue, gathered: _Gathered) -> None:
        """Ask about the callers' texts, and give each its outcome."""
        callers = gathered.callers
        try:
            # One invalid text may fail the whole request.
            call = Call(
                queue.question,
                max(caller.deadline_s for caller in callers),
                divided_on=(InvalidInput, ServerError),
                tries=gathered.tries,
            )
            outcomes = await self._ask(Request(0, [caller.text for caller in callers]), call)
            queue.note(outcomes)
            for caller, outcome in zip(callers, outcomes, strict=True):
                if not caller.outcome.done():
                    caller.outcome.set_result(outcome)
        except Exception as error:  # noqa: BLE001 - it is raised where each caller waits
            for caller in callers:
                if not caller.outcome.done():
                    caller.outcome.set_exception(error)
        finally:
            for caller in callers:
                caller.outcome.cancel()
            queue.in_flight -= 1
            self._send(queue)
