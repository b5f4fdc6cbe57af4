"""Tribunal's own API: one text, a batch, and a stream."""

import json
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from tribunal import Client
from tribunal.gateway.protocols.verdicts import Failed, VerdictAnswer, VerdictsAnswer

from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway

TEXT = "I could strangle him"
BREAD = "The bread is fresh, and the oven is warm. We bake every morning at six. Come by and look. " * 3


def ask(gateway: RunningGateway, **fields: Any) -> httpx.Response:
    return httpx.post(f"{gateway.http_url}/v1/verdicts", json=fields, timeout=60)


def events(gateway: RunningGateway, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for event in ask(gateway, stream=True, **fields).text.strip().split("\n\n"):
        name, data = event.splitlines()
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.parametrize("spans", [False, True])
def test_a_verdict_is_the_servers_and_as_the_document_says(
    server: TritonServer, gateway: RunningGateway, spans: bool
) -> None:
    answer = ask(gateway, text=TEXT, judge="always", spans=spans).json()
    TypeAdapter(VerdictAnswer).validate_json(json.dumps(answer), strict=True)
    with Client(server.grpc_url) as client:
        verdict = client.moderate(TEXT, judge="always", spans=spans).as_document()
    assert answer.pop("reasons")[-1] == "toxicity"
    assert answer.pop("policy") == "default"
    assert answer == json.loads(json.dumps(verdict))
    assert ("spans" in answer) is spans


def test_spans_name_the_sentences_of_each_text_of_a_batch(gateway: RunningGateway) -> None:
    texts = [f"{BREAD} {TEXT}. {BREAD}", BREAD]
    verdicts = ask(gateway, texts=texts, judge="never", spans=True).json()["verdicts"]
    found = [
        [text[span["start"] : span["end"]] for span in verdict["spans"]]
        for text, verdict in zip(texts, verdicts, strict=True)
    ]
    assert found == [[f"{TEXT}."], []]
    assert [verdict["flagged"] for verdict in verdicts] == [True, False]
    assert not any(
        "spans" in verdict for verdict in ask(gateway, texts=texts, judge="never").json()["verdicts"]
    )


def test_a_stream_has_spans_in_both_verdicts(gateway: RunningGateway) -> None:
    (_, encoders), *_, (_, verdict) = events(gateway, text=f"Hi. {TEXT}", spans=True)
    assert [(span["start"], span["end"]) for span in encoders["spans"]] == [(4, 4 + len(TEXT))]
    assert verdict["spans"] == encoders["spans"]


def test_a_text_at_fault_fails_alone_in_a_batch(gateway: RunningGateway) -> None:
    answer = ask(gateway, texts=["Hi", "x" * 65_537, TEXT], judge="never")
    verdicts = VerdictsAnswer.model_validate(answer.json()).verdicts
    assert [isinstance(verdict, Failed) for verdict in verdicts] == [False, True, False]
    assert "65536" in answer.json()["verdicts"][1]["error"]["message"]


def test_a_stream_has_the_encoders_the_reason_and_the_verdict(gateway: RunningGateway) -> None:
    (first, encoders), *pieces, (last, verdict) = events(gateway, text=TEXT)
    assert (first, last) == ("encoders", "verdict")
    assert encoders["toxicity"]["status"] == "skipped"
    assert {name for name, _ in pieces} == {"reason"}
    assert len(pieces) > 1
    assert verdict["toxicity"]["reason"] in "".join(piece["text"] for _, piece in pieces)
    TypeAdapter(VerdictAnswer).validate_json(json.dumps(verdict), strict=True)


def test_a_stream_without_the_judge_is_short(gateway: RunningGateway) -> None:
    assert [name for name, _ in events(gateway, text=TEXT, judge="never")] == ["encoders", "verdict"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "text"),
        ({"text": "a", "texts": ["a"]}, "text"),
        ({"texts": []}, "texts"),
        ({"texts": ["a"] * 65}, "texts"),
        ({"texts": ["a"], "stream": True}, "stream"),
        ({"text": "a", "judge": "often"}, "judge"),
        ({"text": "a", "colour": 1}, "colour"),
        ({"text": "a", "spans": "yes"}, "spans"),
    ],
)
def test_a_fault_is_named(gateway: RunningGateway, fields: dict[str, Any], field: str) -> None:
    answer = ask(gateway, **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
