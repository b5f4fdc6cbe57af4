"""HTTP as clients speak it: content types, keys that are there twice, methods, paths, and headers."""

import json
import random
import threading
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.integration.gateway.conftest import RunningGateway

TEXT = "The bread is fresh."
# A valid request of each protocol, with the key of its text.
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/verdicts": ("text", {"text": TEXT, "judge": "never"}),
    "/v1/moderations": ("input", {"input": TEXT, "judge": "never"}),
    "/beta/litellm_basic_guardrail_api": ("texts", {"texts": [TEXT], "input_type": "request"}),
    "/api/v1/text/contents": ("contents", {"contents": [TEXT]}),
    "/api/v1/text/chat": ("messages", {"messages": [{"role": "user", "content": TEXT}]}),
    "/v1alpha1/comments:analyze": (
        "comment",
        {"comment": {"text": TEXT}, "requestedAttributes": {"INSULT": {}}},
    ),
    "/v2/models/moderation/generate": ("text", {"text": TEXT, "judge": "never"}),
    "/v2/models/moderation/infer": (
        "inputs",
        {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": [TEXT]}]},
    ),
}
PATHS = pytest.mark.parametrize("path", REQUESTS)
JSON = {"Content-Type": "application/json"}
# Callers beside others, and what they send at once.
GOOD_CALLERS, BAD_CALLERS, ROUNDS = 12, 4, 30
STRANGE_HEADERS = ("traceparent", "tracestate", "accept-language", "x-request-id", "detector-id", "cookie")


def post(gateway: RunningGateway, path: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{gateway.http_url}{path}", content=content, headers=headers, timeout=60)


@PATHS
def test_a_valid_request_is_answered_with_and_without_a_slash(gateway: RunningGateway, path: str) -> None:
    content = json.dumps(REQUESTS[path][1]).encode()
    for slash in ("", "/"):
        answer = post(gateway, path + slash, content, JSON)
        assert answer.status_code == 200, answer.text


@PATHS
def test_a_key_that_is_there_twice_is_named(gateway: RunningGateway, path: str) -> None:
    key, body = REQUESTS[path]
    content = json.dumps(body)[:-1] + f', "{key}": {json.dumps(body[key])}}}'
    answer = post(gateway, path, content.encode(), JSON)
    assert answer.status_code == 400
    assert f"the key '{key}' twice" in answer.text


# KServe's clients send the type of binary data to `infer`.
@pytest.mark.parametrize("path", [path for path in REQUESTS if not path.endswith("/infer")])
def test_another_content_type_is_named_with_the_one_that_is_needed(
    gateway: RunningGateway, path: str
) -> None:
    form = "application/x-www-form-urlencoded"
    answer = post(gateway, path, json.dumps(REQUESTS[path][1]).encode(), {"Content-Type": form})
    assert answer.status_code == 415
    assert form in answer.text
    assert "application/json" in answer.text


@pytest.mark.parametrize("path", ["/api/v1/text/generation", "/api/v1/text/context/doc"])
def test_detectors_that_compare_texts_are_refused_with_the_reason(gateway: RunningGateway, path: str) -> None:
    answer = post(gateway, path, b'{"prompt": "a", "generated_text": "b"}', JSON)
    assert answer.status_code == 404
    assert "/api/v1/text/contents" in answer.json()["message"]


def test_a_chat_gets_the_detections_of_its_last_turn(gateway: RunningGateway) -> None:
    harm = {"role": "user", "content": "I could strangle him."}
    fine = {"role": "user", "content": TEXT}
    answers = [
        post(gateway, "/api/v1/text/chat", json.dumps({"messages": messages}).encode(), JSON).json()
        for messages in ([harm], [harm, {"role": "assistant", "content": "No."}, fine])
    ]
    assert "flagged" in {detection["detection_type"] for detection in answers[0]}
    assert answers[1] == []


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_health_answers_head_like_get(gateway: RunningGateway, path: str) -> None:
    answers = [httpx.request(method, f"{gateway.http_url}{path}") for method in ("GET", "HEAD")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["content-length"] == answers[1].headers["content-length"] == "0"


def test_a_wrong_method_is_told_the_right_ones(gateway: RunningGateway) -> None:
    answer = httpx.get(f"{gateway.http_url}/v1/verdicts")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/api/v1/text/contents", {"contents": ["ok", "a" * 100_000]}, "contents[1]"),
        ("/v1/moderations", {"input": ["ok", "a" * 100_000]}, "input[1]"),
        ("/v1/moderations", {"input": ["ok", None]}, "input[1]"),
        ("/v1/verdicts", {"text": "a" * 100_000}, "text"),
        (
            "/v1alpha1/comments:analyze",
            {"comment": {"text": "a" * 100_000}, "requestedAttributes": {"INSULT": {}}},
            "comment.text",
        ),
    ],
)
def test_a_text_that_is_refused_has_its_place(
    gateway: RunningGateway, path: str, body: dict[str, Any], place: str
) -> None:
    answer = post(gateway, path, json.dumps(body).encode(), JSON)
    assert answer.status_code == 400
    assert f"{place} " in answer.text
    assert "ensemble" not in answer.text


@pytest.mark.parametrize(
    "call",
    [
        {"function": {"arguments": '{"I could strangle him":1}'}},
        {"function": {"arguments": '{"q":"I could strangle him","q":"hello"}'}},
        {"type": "custom", "custom": {"input": "I could strangle him"}},
        {
            "function": {
                "arguments": '{"a": "' + "The bread is fresh. " * 40 + '", "q": "I could strangle him"'
            }
        },
        {"function": {"arguments": '{"n": ' + "9" * 5000 + ', "q": "I could strangle him"}'}},
    ],
)
def test_harm_in_a_tool_call_is_blocked(gateway: RunningGateway, call: dict[str, Any]) -> None:
    body = {"input_type": "response", "texts": None, "tool_calls": [call]}
    answer = post(gateway, "/beta/litellm_basic_guardrail_api", json.dumps(body).encode(), JSON)
    assert answer.json()["action"] == "BLOCKED", answer.text


def test_harm_in_structured_messages_is_blocked(gateway: RunningGateway) -> None:
    messages = [{"role": "assistant", "content": "I could strangle him"}]
    body = {"texts": None, "structured_messages": messages, "input_type": "response"}
    answer = post(gateway, "/beta/litellm_basic_guardrail_api", json.dumps(body).encode(), JSON)
    assert answer.json()["action"] == "BLOCKED"


def strange(chance: random.Random) -> dict[str, bytes]:
    """Headers as a hostile caller may send them."""
    values = (
        lambda: chance.randbytes(chance.randrange(1, 40)).translate(None, b"\r\n\0"),
        lambda: "é".encode(chance.choice(("latin-1", "utf-8"))),
        lambda: b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01",
        lambda: b"a\tb",
        lambda: b"k=v," * chance.choice((1, 100, 4000)),
        lambda: b"",
    )
    return {name: chance.choice(values)() for name in STRANGE_HEADERS if chance.random() < 0.7}


def test_headers_of_one_caller_change_no_answer_of_another(gateway: RunningGateway) -> None:
    done = threading.Event()
    statuses: Counter[str] = Counter()
    sent = 0

    def send_bad(seed: int) -> None:
        nonlocal sent
        chance = random.Random(seed)  # noqa: S311
        while not done.is_set():
            path = chance.choice(list(REQUESTS))
            headers = [(b"content-type", b"application/json")]
            headers += [(name.encode(), value) for name, value in strange(chance).items()]
            try:
                httpx.post(f"{gateway.http_url}{path}", json=REQUESTS[path][1], headers=headers, timeout=60)
            except httpx.HTTPError:
                # The gateway closes a connection whose head is no HTTP.
                continue
            finally:
                sent += 1

    def send_good() -> None:
        with httpx.Client(timeout=60) as client:
            for _ in range(ROUNDS):
                answer = client.post(f"{gateway.http_url}/v1/verdicts", json=REQUESTS["/v1/verdicts"][1])
                statuses[f"{answer.status_code} {answer.json().get('flagged')}"] += 1

    bad = [threading.Thread(target=send_bad, args=(seed,)) for seed in range(BAD_CALLERS)]
    good = [threading.Thread(target=send_good) for _ in range(GOOD_CALLERS)]
    for thread in bad + good:
        thread.start()
    for thread in good:
        thread.join()
    done.set()
    for thread in bad:
        thread.join()
    assert sent > BAD_CALLERS
    assert statuses == {"200 False": GOOD_CALLERS * ROUNDS}
