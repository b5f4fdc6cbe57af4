"""Perspective's API, of a real gateway in front of the real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tribunal import Client
from tribunal.gateway.admission.keys import hash_key
from tribunal.gateway.moderation.decision import decide
from tribunal.gateway.moderation.policies import ServerPolicy
from tribunal.gateway.protocols.perspective_attributes import ATTRIBUTES, attribute_score

from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway, running_gateway

TEXTS = ["How to make a bomb?", "The bread is fresh.", "You are a stupid idiot 😀.", "I could strangle him."]
PATH = "/v1alpha1/comments:analyze"
DISCOVERY = "/$discovery/rest?version=v1alpha1"
KEY = "a-key-of-alice"


@pytest.fixture(scope="module")
def perspective(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.http_url, timeout=60) as client:
        yield client


def analyze(perspective: httpx.Client, text: str, *attributes: str, **fields: Any) -> dict[str, Any]:
    body = {"comment": {"text": text}, "requestedAttributes": {name: {} for name in attributes}, **fields}
    answer = perspective.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize("text", TEXTS)
def test_scores_are_what_the_client_says(perspective: httpx.Client, server: TritonServer, text: str) -> None:
    with Client(server.grpc_url) as client:
        verdict = client.moderate(text, explain=False)
    assert verdict.toxicity.status == "answered"
    answered = analyze(perspective, text, *ATTRIBUTES)["attributeScores"]
    values = {name: scores["summaryScore"]["value"] for name, scores in answered.items()}
    assert values == {name: attribute_score(name, decide(ServerPolicy(), verdict)) for name in ATTRIBUTES}


def test_what_a_caller_sends_along_comes_back(perspective: httpx.Client) -> None:
    fields = {"clientToken": "a1", "languages": ["en"], "doNotStore": True, "sessionId": "b2"}
    document = analyze(perspective, "Fool 😀", "INSULT", spanAnnotations=True, **fields)
    assert document["clientToken"] == "a1"
    assert document["languages"] == ["en"]
    score = document["attributeScores"]["INSULT"]
    assert score["spanScores"] == [{"begin": 0, "end": 7, "score": score["summaryScore"]}]


def test_span_scores_name_the_sentences_of_an_attribute(perspective: httpx.Client) -> None:
    bread = "The bread is fresh 😀, and the oven is warm. We bake every morning at six. " * 4
    insult = "You are a pathetic clown and everybody laughs at you."
    text = f"{bread}{insult} {bread}{TEXTS[3]} {bread}"
    scores = analyze(perspective, text, "INSULT", "PROFANITY", spanAnnotations=True)["attributeScores"]
    units = text.encode("utf-16-le")
    found = [
        units[2 * span["begin"] : 2 * span["end"]].decode("utf-16-le")
        for span in scores["INSULT"]["spanScores"]
    ]
    assert found == [insult]
    assert scores["INSULT"]["spanScores"][0]["score"] == scores["INSULT"]["summaryScore"]
    whole = {"begin": 0, "end": len(units) // 2, "score": scores["PROFANITY"]["summaryScore"]}
    assert scores["PROFANITY"]["spanScores"] == [whole]
    # Without them, the server does not read the sentences separately.
    without = analyze(perspective, text, "INSULT")["attributeScores"]["INSULT"]
    assert set(without) == {"summaryScore"}
    assert without["summaryScore"]["value"] < scores["INSULT"]["summaryScore"]["value"]


@pytest.mark.parametrize(
    ("body", "error_type", "named"),
    [
        ({}, "INVALID_REQUEST", "comment"),
        ([], "INVALID_REQUEST", "body"),
        ({"comment": {"text": 1}}, "INVALID_REQUEST", "comment.text"),
        ({"comment": {"text": "a"}}, "NO_REQUESTED_ATTRIBUTES", "requestedAttributes"),
        ({"comment": {"text": ""}, "requestedAttributes": {"THREAT": {}}}, "COMMENT_EMPTY", "comment.text"),
        ({"comment": {"text": "a"}, "requestedAttributes": {"SPAM": {}}}, "INVALID_REQUEST", "SPAM"),
        (
            {"comment": {"text": "a " * 30_000}, "requestedAttributes": {"THREAT": {}}},
            "COMMENT_TOO_LONG",
            "comment.text",
        ),
        (
            {"comment": {"text": "a"}, "requestedAttributes": {"THREAT": {}}, "languages": ["th"]},
            "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
            "th",
        ),
    ],
)
def test_a_malformed_request_has_an_error_of_googles_form(
    perspective: httpx.Client, body: Any, error_type: str, named: str
) -> None:
    answer = perspective.post(PATH, json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert named in error["message"]
    assert [detail["errorType"] for detail in error["details"]] == [error_type]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"comment": {"text": "\\ud800"}}'])
def test_invalid_json_is_refused_in_googles_error_format(perspective: httpx.Client, body: bytes) -> None:
    answer = perspective.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_another_method_is_not_found(perspective: httpx.Client) -> None:
    answer = perspective.post("/v1alpha1/comments:suggestscore", json={})
    assert answer.status_code == 404
    assert answer.json()["error"]["status"] == "NOT_FOUND"


def test_the_discovery_document_names_this_gateway(perspective: httpx.Client) -> None:
    document = perspective.get(DISCOVERY).json()
    assert document["rootUrl"] == f"{perspective.base_url}/"
    assert perspective.get("/$discovery/rest?version=v2").status_code == 404


def test_a_key_in_the_query_lets_in_and_discovery_needs_none(server: TritonServer, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[keys.alice]\nsha256 = "{hash_key(KEY)}"\n')
    body = {"comment": {"text": TEXTS[1]}, "requestedAttributes": {"THREAT": {}}}
    with running_gateway(server.grpc_url, tmp_path, "--keys", str(keys)) as gateway:
        assert httpx.get(f"{gateway.http_url}{DISCOVERY}").status_code == 200
        refused = httpx.post(f"{gateway.http_url}{PATH}?key=other", json=body)
        assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
        assert httpx.post(f"{gateway.http_url}{PATH}?key={KEY}", json=body).status_code == 200
        assert KEY not in gateway.log
