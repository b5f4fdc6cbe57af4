"""Admission and moderation of a request's texts, with a client without a server."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from tribunal import AsyncClient
from tribunal.gateway.decision import Decision
from tribunal.gateway.dialects.openai import MAX_INPUTS, texts_of
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.keys import Caller
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.moderator import BYTES_OF_COST, ENCODERS, JUDGED, MAX_WAITING_COST, Moderator, Options
from tribunal.gateway.policies import Policy, ServerPolicy
from tribunal.gateway.settings import GatewaySettings
from tribunal.verdict import Verdict

from tests.unit.client.gateway.verdicts import span, verdict

ALICE = Caller("alice")
NEVER = Options(ServerPolicy(), "never")


@dataclass
class Client:
    """Records its calls and the texts in flight. held: it answers only when this is set."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    moderator: Moderator | None = None
    in_flight: list[dict[str, int]] = field(default_factory=list)
    held: asyncio.Event | None = None

    async def moderate(self, text: str, **options: Any) -> Verdict:
        self.asked.append((text, options))
        if self.moderator is not None:
            self.in_flight.append(dict(self.moderator.in_flight))
        if self.held is not None:
            await self.held.wait()
        return verdict(spans=(span(0, 1, Violence=0.75),) if options["spans"] else None)


def moderator(client: Client) -> Moderator:
    made = Moderator(cast(AsyncClient, client), GatewaySettings(timeout_s=10), Metrics())
    client.moderator = made
    return made


def moderated(client: Client, texts: Mapping[str, str], options: Options) -> list[Decision]:
    return asyncio.run(moderator(client).moderate_by_place(texts, options, ALICE))


def test_an_openai_request_of_more_than_64_texts_is_answered_whole() -> None:
    client = Client()
    texts = texts_of([f"text {number}" for number in range(MAX_INPUTS)])
    assert len(moderated(client, texts, NEVER)) == MAX_INPUTS
    assert [text for text, _ in client.asked] == [*texts.values()]


def test_an_openai_request_without_room_for_all_of_it_is_refused_before_its_first_text() -> None:
    client = Client()
    # 64 of these fit into the limit; all together do not.
    texts = texts_of(["x" * (BYTES_OF_COST * MAX_WAITING_COST // 512)] * MAX_INPUTS)

    async def ask_while_busy() -> None:
        client.held = asyncio.Event()
        made = moderator(client)
        busy = asyncio.create_task(made.moderate(["busy"], NEVER, ALICE))
        while not client.asked:
            await asyncio.sleep(0)
        with pytest.raises(GatewayError) as refused:
            await made.moderate_by_place(texts, NEVER, ALICE)
        assert refused.value.status == 429
        client.held.set()
        await busy

    asyncio.run(ask_while_busy())
    assert [text for text, _ in client.asked] == ["busy"]


def test_each_text_is_asked_with_its_own_options() -> None:
    client = Client()
    options = [NEVER, replace(NEVER, spans=True), Options(Policy(category_threshold=0.8), spans=True)]
    decisions = asyncio.run(moderator(client).moderate(["a", "b", "c"], options, ALICE))
    assert {text: asked["spans"] for text, asked in client.asked} == {"a": False, "b": True, "c": True}
    assert [decision.spans for decision in decisions] == [None, (span(0, 1, Violence=0.75),), ()]


@pytest.mark.parametrize(("mode", "queue", "cost"), [("never", ENCODERS, 2), ("always", JUDGED, 1)])
def test_sentences_cost_the_encoders_alone(mode: Any, queue: str, cost: int) -> None:
    client = Client()
    moderated(client, {"text": "a"}, Options(ServerPolicy(), mode, spans=True))
    assert client.in_flight[0][queue] == cost
