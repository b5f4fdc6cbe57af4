"""Tribunal's own dialect: one text, a batch, and a stream."""

import json
from dataclasses import asdict
from typing import Any

import httpx
import pytest
from tribunal import Client
from tribunal.gateway.dialects.verdicts import Failed, VerdictAnswer, VerdictsAnswer

from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway

TEXT = "I could strangle him"


def ask(gateway: RunningGateway, **fields: Any) -> httpx.Response:
    return httpx.post(f"{gateway.http_url}/v1/verdicts", json=fields, timeout=60)


def events(gateway: RunningGateway, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for event in ask(gateway, stream=True, **fields).text.strip().split("\n\n"):
        name, data = event.splitlines()
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_verdict_is_the_servers_and_as_the_document_says(
    server: TritonServer, gateway: RunningGateway
) -> None:
    answer = ask(gateway, text=TEXT, judge="always").json()
    VerdictAnswer.model_validate(answer, strict=True)
    with Client(server.grpc_url) as client:
        verdict = json.loads(json.dumps(asdict(client.moderate(TEXT, judge="always"))))
    assert {name: answer[name] for name in verdict} == verdict
    assert answer["reasons"][-1] == "toxicity"


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
    VerdictAnswer.model_validate(verdict, strict=True)


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
    ],
)
def test_a_fault_is_named(gateway: RunningGateway, fields: dict[str, Any], field: str) -> None:
    answer = ask(gateway, **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
