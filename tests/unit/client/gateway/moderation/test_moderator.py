"""Admission and moderation of a request's texts, without a server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from tribunal.batches import Outcome
from tribunal.errors import InvalidInput, ServerUnavailable
from tribunal.gateway.caller import Caller
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.moderation.decision import Decision
from tribunal.gateway.moderation.moderator import (
    BYTES_OF_COST,
    ENCODERS,
    JUDGED,
    MAX_WAITING_COST,
    Moderator,
    Options,
)
from tribunal.gateway.moderation.policies import Policy, ServerPolicy
from tribunal.gateway.moderation.queue import Size
from tribunal.gateway.moderation.triton import Limits, Triton
from tribunal.gateway.protocols.openai import texts_of
from tribunal.gateway.settings import MAX_TEXTS, GatewaySettings
from tribunal.transport.messages import Question
from tribunal.verdict import Toxicity

from tests.unit.client.gateway.verdicts import ANSWERED, SKIPPED, span, verdict

ALICE = Caller("alice")
NEVER = Options(ServerPolicy(), "never")


@dataclass
class Server:
    """Records its requests and the texts in flight. held: it answers only when this is set.

    A text `invalid` fails alone, and `down` fails its request. cancelled: requests that were cancelled.
    """

    asked: list[tuple[list[str], Question]] = field(default_factory=list)
    moderator: Moderator | None = None
    in_flight: list[dict[str, int]] = field(default_factory=list)
    held: asyncio.Event | None = None
    toxicity: Toxicity = SKIPPED
    cancelled: int = 0
    streamed: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [text for texts, _ in self.asked for text in texts]

    async def outcomes(self, contents: Sequence[bytes], question: Question) -> list[Outcome]:
        texts = [content.decode() for content in contents]
        self.asked.append((texts, question))
        if self.moderator is not None:
            self.in_flight.append(dict(self.moderator.in_flight))
        await self._answer()
        spans = (span(0, 1, Violence=0.75),) if question.spans else None
        given = verdict(self.toxicity, spans=spans)
        faults: dict[str, Outcome] = {"invalid": InvalidInput("too long"), "down": ServerUnavailable("down")}
        return [faults.get(text, given) for text in texts]

    async def stream_judgement(self, text: str) -> AsyncIterator[str]:
        self.asked.append(([text], Question("always", explain=True)))
        for piece in ("toxic", " because"):
            yield piece
            await self._answer()
            self.streamed.append(piece)

    async def limits(self) -> Limits:
        return Limits(Size(requests=1, texts=64), 65_536)

    async def _answer(self) -> None:
        if self.held is not None:
            try:
                await self.held.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise


def moderator(server: Server, **settings: Any) -> Moderator:
    made = Moderator(cast(Triton, server), GatewaySettings(timeout_s=10, **settings), Metrics())
    server.moderator = made
    return made


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


def moderated(server: Server, texts: Mapping[str, str], options: Options) -> list[Decision]:
    return asyncio.run(moderator(server).moderate_by_place(texts, options, ALICE))


def test_an_openai_request_of_more_than_64_texts_is_answered_whole() -> None:
    server = Server()
    texts = texts_of([f"text {number}" for number in range(MAX_TEXTS)])
    assert len(moderated(server, texts, NEVER)) == MAX_TEXTS
    assert server.texts == [*texts.values()]


def test_an_openai_request_without_room_for_all_of_it_is_refused_before_its_first_text() -> None:
    server = Server()
    # 64 of these fit into the limit; all together do not.
    texts = texts_of(["x" * (BYTES_OF_COST * MAX_WAITING_COST // 512)] * MAX_TEXTS)

    async def ask_while_busy() -> None:
        server.held = asyncio.Event()
        made = moderator(server)
        busy = asyncio.create_task(made.moderate(["busy"], NEVER, ALICE))
        while not server.asked:
            await asyncio.sleep(0)
        with pytest.raises(GatewayError) as refused:
            await made.moderate_by_place(texts, NEVER, ALICE)
        assert refused.value.status == 429
        server.held.set()
        await busy

    asyncio.run(ask_while_busy())
    assert server.texts == ["busy"]


def test_each_text_is_asked_with_its_own_options() -> None:
    server = Server()
    options = [NEVER, replace(NEVER, spans=True), Options(Policy(category_threshold=0.8), spans=True)]
    decisions = asyncio.run(moderator(server).moderate(["a", "b", "c"], options, ALICE))
    assert {tuple(texts): asked.spans for texts, asked in server.asked} == {
        ("a",): False,
        ("b",): True,
        ("c",): True,
    }
    assert [decision.spans for decision in decisions] == [None, (span(0, 1, Violence=0.75),), ()]


@pytest.mark.parametrize(("mode", "queue", "cost"), [("never", ENCODERS, 2), ("always", JUDGED, 1)])
def test_sentences_cost_the_encoders_alone(mode: Any, queue: str, cost: int) -> None:
    server = Server()
    moderated(server, {"text": "a"}, Options(ServerPolicy(), mode, spans=True))
    assert server.in_flight[0][queue] == cost


def test_a_batch_is_one_request_of_the_servers_size() -> None:
    server = Server()

    async def test() -> None:
        made = moderator(server)
        await made.read_size()
        await made.moderate([f"text {number}" for number in range(130)], NEVER, ALICE)

    asyncio.run(test())
    assert [len(texts) for texts, _ in server.asked] == [64, 64, 2]


def test_a_limit_of_the_settings_holds_beside_the_servers_size() -> None:
    server = Server()

    async def test() -> None:
        made = moderator(server, max_in_flight_texts=3)
        await made.read_size()
        await made.moderate([f"text {number}" for number in range(7)], NEVER, ALICE)

    asyncio.run(test())
    assert [len(texts) for texts, _ in server.asked] == [3, 3, 1]


def test_texts_for_the_judge_are_sent_one_by_one() -> None:
    server = Server(toxicity=ANSWERED)
    always = Options(ServerPolicy(), "always")
    asyncio.run(moderator(server).moderate(["a", "b", "c"], always, ALICE))
    assert [texts for texts, _ in server.asked] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(("toxicity", "sizes"), [(SKIPPED, [1, 3]), (ANSWERED, [1, 1, 1, 1])])
def test_the_servers_default_is_seen_in_its_answers(toxicity: Toxicity, sizes: list[int]) -> None:
    server = Server(toxicity=toxicity)
    default = Options(ServerPolicy())

    async def test() -> None:
        made = moderator(server)
        await made.moderate(["what is the default?"], default, ALICE)
        await made.moderate(["a", "b", "c"], default, ALICE)

    asyncio.run(test())
    assert [len(texts) for texts, _ in server.asked] == sizes


def test_an_invalid_text_fails_alone_and_a_server_that_is_down_the_request() -> None:
    async def answers(*texts: str) -> list[Decision | GatewayError]:
        return await moderator(Server()).moderate_each(texts, NEVER, ALICE)

    outcomes = asyncio.run(answers("a", "invalid", "\ud800", "b"))
    assert [type(outcome) for outcome in outcomes] == [Decision, GatewayError, GatewayError, Decision]
    with pytest.raises(GatewayError) as raised:
        asyncio.run(answers("a", "down"))
    assert raised.value.status == 503


def test_a_caller_that_goes_cancels_no_request() -> None:
    server = Server()

    async def test() -> None:
        server.held = asyncio.Event()
        made = moderator(server)
        await made.read_size()
        sent = asyncio.create_task(made.moderate(["sent"], NEVER, ALICE))
        waits = asyncio.create_task(made.moderate(["waits"], NEVER, ALICE))
        await until(lambda: made.waiting[ENCODERS] == 1)
        for task in (sent, waits):
            task.cancel()
        await asyncio.gather(sent, waits, return_exceptions=True)
        assert (made.in_flight[ENCODERS], made.waiting[ENCODERS]) == (1, 0)
        server.held.set()
        await made.drain()
        assert made.in_flight[ENCODERS] == 0

    asyncio.run(test())
    assert server.texts == ["sent"]
    assert server.cancelled == 0


def test_a_caller_that_goes_cancels_no_stream() -> None:
    server = Server()

    async def test() -> None:
        server.held = asyncio.Event()
        made = moderator(server)
        pieces = made.stream_reason("a text", ALICE)
        assert await anext(pieces) == "toxic"
        await pieces.aclose()  # type: ignore[attr-defined]
        server.held.set()
        await made.drain()

    asyncio.run(test())
    assert server.streamed == ["toxic", " because"]
    assert server.cancelled == 0


def test_a_stream_gives_each_piece() -> None:
    async def test() -> list[str]:
        return [piece async for piece in moderator(Server()).stream_reason("a text", ALICE)]

    assert asyncio.run(test()) == ["toxic", " because"]
