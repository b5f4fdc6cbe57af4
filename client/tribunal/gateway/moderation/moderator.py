"""Gets verdicts on a request's texts from Triton, through the queues, and applies a policy."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from tribunal.batches import Outcome
from tribunal.contract import JudgeMode
from tribunal.errors import TribunalError
from tribunal.gateway.caller import Caller
from tribunal.gateway.errors import TEXT_TOO_LONG, GatewayError, from_tribunal
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.moderation.decision import Decision, decide
from tribunal.gateway.moderation.policies import Policy
from tribunal.gateway.moderation.queue import Entry, Queue, Size
from tribunal.gateway.moderation.triton import UNKNOWN_SIZE, Triton
from tribunal.gateway.moderation.turns import Text
from tribunal.gateway.moderation.waits import note_wait
from tribunal.gateway.settings import GatewaySettings
from tribunal.server_info import ServerInfo
from tribunal.transport.messages import Question, encode_text
from tribunal.verdict import Verdict

log = logging.getLogger("tribunal.gateway")
# A text's cost is about its number of windows of 512 tokens; a window has some KiB of English.
BYTES_OF_COST = 1024
# Spans about double the encoders' time, but not the judge's.
COST_OF_SPANS = 2
# The queues.
ENCODERS, JUDGED = "encoders", "judge"
# Limit for all waiting texts of all callers; bounds their memory.
MAX_WAITING_COST = 32 * 1024
# Texts that may be with the judge; each is a request of its own, so that none delays the others.
JUDGED_SIZE = Size(requests=64, texts=1, cost=64)
# The server's configs are read again, because a restart may have changed them.
SIZE_READ_EVERY_S = 60.0


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
    def question(self) -> Question:
        """What the server is asked."""
        return Question(self.judge_mode, self.with_reason, self.with_spans)

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
    """Moderates for all dialects: one client of Triton, and two queues.

    Texts that may need the judge have their own queue, because the judge takes seconds and the encoders take
    milliseconds. Every method raises GatewayError.
    """

    def __init__(self, triton: Triton, settings: GatewaySettings, metrics: Metrics) -> None:
        self._triton = triton
        self._timeout_s = settings.timeout_s
        self._max_cost = settings.max_in_flight_texts
        self._metrics = metrics
        self._is_stopping = False
        # UTF-8 bytes of a text that the server takes; None: not known, and the server decides.
        self._max_text_bytes: int | None = None
        # Whether the server asks the judge by default, as its answers show; None before the first answer.
        self._asks_judge: bool | None = None
        self._queues = {
            name: Queue(size, settings.max_wait_s, MAX_WAITING_COST, metrics.waits.labels(name).observe)
            for name, size in ((ENCODERS, self._limited(UNKNOWN_SIZE)), (JUDGED, self._limited(JUDGED_SIZE)))
        }

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Cost of the texts in flight at Triton, by queue."""
        return {name: queue.in_flight for name, queue in self._queues.items()}

    @property
    def waiting(self) -> Mapping[str, int]:
        """Cost of the waiting texts, by queue."""
        return {name: queue.waiting for name, queue in self._queues.items()}

    def require_room(self, caller: Caller) -> None:
        """Refuse a caller before its request is read if the encoders' queue is too long.

        Every text needs the encoders, whether it is judged or not.
        """
        self._queues[ENCODERS].require_room(caller.queue, 1)

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
        answers = await self.moderate_each([*texts.values()], options, caller, [*texts])
        for place, answer in zip(texts, answers, strict=True):
            if isinstance(answer, GatewayError):
                raise replace(answer, field=place) from answer
        return [answer for answer in answers if isinstance(answer, Decision)]

    async def moderate_each(
        self,
        texts: Sequence[str],
        options: Options | Sequence[Options],
        caller: Caller,
        places: Sequence[str] | None = None,
    ) -> list[Decision | GatewayError]:
        """A decision for each of `texts`, in order, or an error for an invalid one.

        options: for all texts, or one for each. places: their names in messages; by default `text`.
        """
        each = [options] * len(texts) if isinstance(options, Options) else options
        answers: dict[int, Decision | GatewayError] = {}
        asked: dict[Question, dict[int, Text]] = defaultdict(dict)
        costs: dict[str, int] = defaultdict(int)
        for row, (text, of_text) in enumerate(zip(texts, each, strict=True)):
            question = of_text.question
            try:
                content = self._encoded(text, places[row] if places else "text")
                asked[question][row] = Text(content, self._cost(text, question))
            except GatewayError as error:
                answers[row] = error
            costs[self._queue(question)] += self._cost(text, question)
        for name, cost in costs.items():
            self._queues[name].require_room(caller.queue, cost)
        entered = [
            (of_question, *self._enter(question, [*of_question.values()], caller))
            for question, of_question in asked.items()
        ]
        try:
            async with asyncio.timeout(self._timeout_s):
                outcomes = await asyncio.gather(*(entry.outcomes() for _, _, entry in entered))
        except TimeoutError:
            raise GatewayError(504, "timeout", f"no verdict within {self._timeout_s:g} s") from None
        finally:
            for _, queue, entry in entered:
                queue.leave(entry)
        note_wait(max((entry.wait_s for _, _, entry in entered), default=0.0))
        for (of_question, _, _), of_entry in zip(entered, outcomes, strict=True):
            for row, outcome in zip(of_question, of_entry, strict=True):
                answers[row] = _answer(each[row].policy, outcome)
        in_order = [answers[row] for row in range(len(texts))]
        self._metrics.count(in_order)
        return in_order

    async def stream_reason(self, text: str, caller: Caller) -> AsyncIterator[str]:
        """The judge's answer piece by piece, label first, as it is generated.

        If the caller goes, the rest is read and dropped, because a cancelled call can crash Triton 24.10.
        """
        queue, cost = self._queues[JUDGED], _windows_cost(text)
        queue.require_room(caller.queue, cost)
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        async def pump(_texts: list[bytes]) -> list[Outcome]:
            async with aclosing(self._triton.stream_judgement(text)) as stream:  # type: ignore[type-var]
                async for piece in stream:
                    pieces.put_nowait(piece)
            return []

        # A stream shares its request with nothing.
        entry = queue.enter(caller.queue, object(), [Text(b"", cost)], pump)
        entry.add_done_callback(lambda: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await entry.outcomes()
        except TribunalError as error:
            raise from_tribunal(error) from error
        finally:
            queue.leave(entry)

    def stop(self) -> None:
        """Report not ready from now on; requests in flight continue."""
        self._is_stopping = True

    async def drain(self) -> None:
        """Wait for the requests in flight, also those whose callers have gone."""
        for queue in self._queues.values():
            await queue.drain()

    async def follow_server(self) -> None:
        """Adapt the encoders' queue to the server's configs, for as long as the gateway runs."""
        while True:
            await self.read_size()
            await asyncio.sleep(SIZE_READ_EVERY_S)

    async def read_size(self) -> None:
        """Adapt to the server's configs: the encoders' queue, and the limit of a text; else keep both."""
        try:
            limits = await self._triton.limits()
            self._queues[ENCODERS].size = self._limited(limits.size)
            self._max_text_bytes = limits.max_text_bytes
        except TribunalError as error:
            log.info("the queue keeps its size, because the server's configs cannot be read: %s", error)

    async def is_ready(self) -> bool:
        """Whether the server gives verdicts, and the gateway accepts new requests."""
        try:
            return not self._is_stopping and await self._triton.is_ready()
        except TribunalError:
            return False

    async def info(self) -> ServerInfo:
        """The server's version, models and weights."""
        try:
            return await self._triton.info()
        except TribunalError as error:
            raise from_tribunal(error) from error

    def _encoded(self, text: str, place: str) -> bytes:
        """`text` in UTF-8; raises GatewayError 400 unless it is valid Unicode within the server's limit."""
        try:
            content = encode_text(text, place)
        except TribunalError as error:
            raise from_tribunal(error) from error
        limit = self._max_text_bytes
        if limit is not None and len(content) > limit:
            message = f"{place} has {len(content)} bytes; the limit is {limit}"
            raise GatewayError(400, TEXT_TOO_LONG, message, place)
        return content

    def _limited(self, size: Size) -> Size:
        """`size` within the limit of the settings."""
        return size if self._max_cost is None else replace(size, cost=self._max_cost)

    def _queue(self, question: Question) -> str:
        """The name of the queue of texts with this question."""
        is_never_judged = question.judge is None and self._asks_judge is False
        return ENCODERS if question.judge == "never" or is_never_judged else JUDGED

    def _cost(self, text: str, question: Question) -> int:
        is_doubled = question.spans and self._queue(question) == ENCODERS
        return _windows_cost(text) * (COST_OF_SPANS if is_doubled else 1)

    def _enter(self, question: Question, texts: Sequence[Text], caller: Caller) -> tuple[Queue, Entry]:
        """Let texts with this question wait in their queue."""

        async def send(contents: list[bytes]) -> list[Outcome]:
            outcomes = await self._triton.outcomes(contents, question)
            if question.judge is None:
                self._note_default(outcomes)
            return outcomes

        queue = self._queues[self._queue(question)]
        return queue, queue.enter(caller.queue, question, texts, send)

    def _note_default(self, outcomes: Sequence[Outcome]) -> None:
        """Remember from verdicts whether the server asks the judge by default."""
        for outcome in outcomes:
            if isinstance(outcome, Verdict):
                self._asks_judge = self._asks_judge or outcome.toxicity.status != "skipped"


def _answer(policy: Policy, outcome: Outcome) -> Decision | GatewayError:
    """The decision on a text. An invalid text fails alone; any other error fails the request."""
    if isinstance(outcome, Verdict):
        return decide(policy, outcome)
    fault = from_tribunal(outcome)
    if fault.status == 400:
        return fault
    raise fault from outcome


def _windows_cost(text: str) -> int:
    return 1 + len(text) // BYTES_OF_COST
