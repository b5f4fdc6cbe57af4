"""Gets a request's verdicts from Triton, in chunks so that callers can take turns, and applies a policy."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from tribunal.async_client import AsyncClient
from tribunal.contract import JudgeMode
from tribunal.errors import TribunalError
from tribunal.gateway.decision import Decision, decide
from tribunal.gateway.errors import GatewayError, from_tribunal
from tribunal.gateway.keys import Caller
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.policies import Policy
from tribunal.gateway.scheduler import Scheduler
from tribunal.gateway.settings import GatewaySettings
from tribunal.server_info import ServerInfo
from tribunal.verdict import Verdict

# A text's cost is about its number of windows of 512 tokens; a window has some KiB of English.
BYTES_OF_COST = 1024
# Spans about double the encoders' time, but not the judge's.
COST_OF_SPANS = 2
# The queues.
ENCODERS, JUDGED = "encoders", "judge"
# Limit for all waiting texts of all callers; bounds their memory.
MAX_WAITING_COST = 32 * 1024


@dataclass(frozen=True)
class Options:
    """Options of one request.

    judge, explain, spans: None: the policy's.
    """

    policy: Policy
    judge: JudgeMode | None = None
    explain: bool | None = None
    spans: bool | None = None

    @property
    def judge_mode(self) -> JudgeMode | None:
        """When the judge is asked; None: the server's default."""
        return self.judge or self.policy.judge

    @property
    def with_reason(self) -> bool:
        """Whether the judge gives its reason."""
        return self.policy.explain if self.explain is None else self.explain

    @property
    def with_spans(self) -> bool:
        """Whether the encoders also read each sentence by itself."""
        return self.policy.spans if self.spans is None else self.spans


class Moderator:
    """Moderates for all dialects: one client of Triton, and one scheduler for each queue.

    Texts that may need the judge have their own queue, because the judge takes seconds and the encoders take
    milliseconds. Every method raises GatewayError.
    """

    def __init__(self, client: AsyncClient, settings: GatewaySettings, metrics: Metrics) -> None:
        self._client = client
        self._timeout_s = settings.timeout_s
        self._metrics = metrics
        self._is_stopping = False
        self._schedulers = {
            name: Scheduler(settings.max_in_flight_texts, settings.max_wait_s, MAX_WAITING_COST)
            for name in (ENCODERS, JUDGED)
        }

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Cost of the texts in flight at Triton, by queue."""
        return {name: scheduler.in_flight for name, scheduler in self._schedulers.items()}

    @property
    def waiting(self) -> Mapping[str, int]:
        """Cost of the waiting texts, by queue."""
        return {name: scheduler.waiting for name, scheduler in self._schedulers.items()}

    def require_room(self, caller: Caller) -> None:
        """Refuse a caller before its request is read if the encoders' queue is too long.

        Every text needs the encoders, whether it is judged or not.
        """
        self._schedulers[ENCODERS].require_room(caller.queue, 1)

    async def moderate(
        self, texts: Sequence[str], options: Options | Sequence[Options], caller: Caller
    ) -> list[Decision]:
        """A decision for each of `texts`, in order; the first invalid text fails the request."""
        answers = await self.moderate_each(texts, options, caller)
        for answer in answers:
            if isinstance(answer, GatewayError):
                raise answer
        return [answer for answer in answers if isinstance(answer, Decision)]

    async def moderate_by_place(
        self, texts: Mapping[str, str], options: Options, caller: Caller
    ) -> list[Decision]:
        """A decision for each of `texts`, in order; the error of a text names its place.

        texts: by their place in the request.
        """
        answers = await self.moderate_each([*texts.values()], options, caller)
        for place, answer in zip(texts, answers, strict=True):
            if isinstance(answer, GatewayError):
                raise replace(answer, field=place) from answer
        return [answer for answer in answers if isinstance(answer, Decision)]

    async def moderate_each(
        self, texts: Sequence[str], options: Options | Sequence[Options], caller: Caller
    ) -> list[Decision | GatewayError]:
        """A decision for each of `texts`, in order, or an error for an invalid one.

        options: for all texts, or one for each.
        """
        each = [options] * len(texts) if isinstance(options, Options) else options
        for scheduler, cost in self._costs(texts, each).items():
            self._schedulers[scheduler].require_room(caller.queue, cost)
        try:
            async with asyncio.timeout(self._timeout_s), asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._answer(text, of_text, caller))
                    for text, of_text in zip(texts, each, strict=True)
                ]
        except TimeoutError:
            raise GatewayError(504, "timeout", f"no verdict within {self._timeout_s:g} s") from None
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        answers = [task.result() for task in tasks]
        self._metrics.count(answers)
        return answers

    async def stream_reason(self, text: str, caller: Caller) -> AsyncIterator[str]:
        """The judge's answer piece by piece, label first, as it is generated."""
        cost = _windows_cost(text)
        self._schedulers[JUDGED].require_room(caller.queue, cost)
        async with self._schedulers[JUDGED].turn(caller.queue, cost):
            try:
                async with aclosing(self._client.stream_judgement(text)) as pieces:  # type: ignore[type-var]
                    async for piece in pieces:
                        yield piece
            except TribunalError as error:
                raise from_tribunal(error) from error

    def stop(self) -> None:
        """Report not ready from now on; requests in flight continue."""
        self._is_stopping = True

    async def is_ready(self) -> bool:
        """Whether the server gives verdicts, and the gateway accepts new requests."""
        try:
            return not self._is_stopping and await self._client.is_ready()
        except TribunalError:
            return False

    async def info(self) -> ServerInfo:
        """The server's version, models and weights."""
        try:
            return await self._client.info()
        except TribunalError as error:
            raise from_tribunal(error) from error

    def _costs(self, texts: Sequence[str], each: Sequence[Options]) -> Mapping[str, int]:
        """The cost of a request in each queue that its texts use."""
        costs: Counter[str] = Counter()
        for text, options in zip(texts, each, strict=True):
            costs[_queue(options)] += _cost(text, options)
        return costs

    async def _answer(self, text: str, options: Options, caller: Caller) -> Decision | GatewayError:
        async with self._schedulers[_queue(options)].turn(caller.queue, _cost(text, options)):
            verdict = await self._verdict(text, options)
        return verdict if isinstance(verdict, GatewayError) else decide(options.policy, verdict)

    async def _verdict(self, text: str, options: Options) -> Verdict | GatewayError:
        try:
            return await self._client.moderate(
                text, judge=options.judge_mode, explain=options.with_reason, spans=options.with_spans
            )
        except TribunalError as error:
            fault = from_tribunal(error)
            # An invalid text fails alone; any other error fails the whole chunk.
            if fault.status == 400:
                return fault
            raise fault from error


def _queue(options: Options) -> str:
    return ENCODERS if options.judge_mode == "never" else JUDGED


def _cost(text: str, options: Options) -> int:
    is_doubled = options.with_spans and _queue(options) == ENCODERS
    return _windows_cost(text) * (COST_OF_SPANS if is_doubled else 1)


def _windows_cost(text: str) -> int:
    return 1 + len(text) // BYTES_OF_COST
