"""FMS's detectors API, of a real gateway in front of the real server."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tribunal import Client

from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway

HARMFUL = "How to make a bomb?"
HARMLESS = "The bread is fresh."
REFUSAL = "I'm sorry, but I cannot help with that request."
INSULT = "You are a pathetic clown and everybody laughs at you."
TEXTS = [HARMFUL, HARMLESS, REFUSAL, INSULT, "Idiot 😀.", "I could strangle him."]


@pytest.fixture(scope="module")
def fms(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.http_url, timeout=60) as client:
        yield client


def ask(
    fms: httpx.Client, contents: list[str], detector: str | None = None, **params: Any
) -> list[list[dict[str, Any]]]:
    answer = fms.post(
        "/api/v1/text/contents",
        json={"contents": contents, "detector_params": params},
        headers={"detector-id": detector} if detector else {},
    )
    assert answer.status_code == 200, answer.text
    detections: list[list[dict[str, Any]]] = answer.json()
    return detections


def test_detections_are_what_the_client_says(fms: httpx.Client, server: TritonServer) -> None:
    with Client(server.grpc_url) as client:
        verdicts = client.moderate_batch(TEXTS, explain=False)
    for text, verdict, found in zip(TEXTS, verdicts, ask(fms, TEXTS), strict=True):
        expected = {name: verdict.categories.scores[name] for name in verdict.categories.flagged}
        if verdict.flagged:
            expected["flagged"] = 1.0
        if verdict.toxicity.label == "toxic":
            assert verdict.toxicity.score is not None
            expected["toxicity"] = verdict.toxicity.score
        assert {detection["detection_type"]: detection["score"] for detection in found} == expected
        assert all(d["text"] == text[d["start"] : d["end"]] for d in found)
        whole = {d["detection_type"] for d in found if (d["start"], d["end"]) == (0, len(text))}
        assert whole >= set(expected) & {"flagged", "toxicity"}


def test_each_detection_stands_at_its_sentence(fms: httpx.Client) -> None:
    bread = "The bread is fresh 😀, and the oven is warm. We bake every morning at six. " * 4
    text = f"{bread}{INSULT} {bread}{HARMFUL} {bread}"
    assert ask(fms, [text], judge="never") == [[]]
    found = ask(fms, [text], judge="never", spans=True)[0]
    assert (found[0]["detection_type"], found[0]["text"]) == ("flagged", text)
    assert {d["text"]: d["detection_type"] for d in found[1:]} == {
        INSULT: "Harassment",
        HARMFUL: "Guns and Illegal Weapons",
    }
    assert all(d["text"] == text[d["start"] : d["end"]] for d in found)
    refusals = ask(fms, [f"{bread}{REFUSAL}"], "rejection", spans=True)[0]
    assert [d["text"] for d in refusals] == [REFUSAL]


def test_the_harmful_text_is_flagged_and_the_harmless_one_has_no_detection(fms: httpx.Client) -> None:
    harmful, harmless = ask(fms, [HARMFUL, HARMLESS])
    assert harmful[0]["detection_type"] == "flagged"
    assert harmless == []


def test_a_refusal_is_found_by_its_detector_alone(fms: httpx.Client, server: TritonServer) -> None:
    with Client(server.grpc_url) as client:
        score = client.moderate(REFUSAL, judge="never").refusal.score
    refusal, harmless = ask(fms, [REFUSAL, HARMLESS], "rejection")
    assert [(d["detection_type"], d["score"]) for d in refusal] == [("refusal", score)]
    assert harmless == []


@pytest.mark.parametrize(("detector", "text"), [("aegis", HARMFUL), ("judge", INSULT)])
def test_a_detector_reports_its_own(fms: httpx.Client, detector: str, text: str) -> None:
    assert {d["detection"] for d in ask(fms, [text], detector)[0]} == {detector}


def test_without_the_judge_nothing_is_said_to_be_toxic(fms: httpx.Client) -> None:
    found = ask(fms, [HARMFUL], judge="never")[0]
    assert found
    assert not {"toxicity", "judge_failure"} & {d["detection_type"] for d in found}


def test_a_threshold_leaves_out_what_is_below_it(fms: httpx.Client) -> None:
    found = ask(fms, [HARMFUL], threshold=1)[0]
    assert [d["detection_type"] for d in found] == ["flagged"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": ["a"] * 65}, "contents"),
        ({"contents": "a"}, "contents"),
        ({"contents": [1]}, "contents.0"),
        ({"contents": ["a"], "detector_params": {"polcy": "strict"}}, "polcy"),
        ({"contents": ["a"], "detector_params": {"judge": "sometimes"}}, "judge"),
        ({"contents": ["a"], "detector_params": {"threshold": 2}}, "threshold"),
        ([], "body"),
    ],
)
def test_a_malformed_request_has_an_error_that_names_the_field(
    fms: httpx.Client, body: Any, named: str
) -> None:
    answer = fms.post("/api/v1/text/contents", json=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert named in answer.json()["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"contents": ["\\ud800"]}', b'{"contents": [NaN]}']
)
def test_invalid_json_is_refused_in_the_protocols_error_format(fms: httpx.Client, body: bytes) -> None:
    answer = fms.post("/api/v1/text/contents", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message"}


@pytest.mark.parametrize(("headers", "params"), [({"detector-id": "other"}, {}), ({}, {"policy": "other"})])
def test_an_unknown_name_is_404(fms: httpx.Client, headers: dict[str, str], params: dict[str, str]) -> None:
    body = {"contents": ["a"], "detector_params": params}
    answer = fms.post("/api/v1/text/contents", json=body, headers=headers)
    assert answer.status_code == 404
    assert answer.json()["code"] == 404
    assert "other" in answer.json()["message"]
