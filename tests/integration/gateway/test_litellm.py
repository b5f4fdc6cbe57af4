"""LiteLLM's generic guardrail API against the demo server; tests/clients/litellm runs the real proxy."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tribunal import Client

from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from tests.integration.gateway.conftest import RunningGateway

TEXTS = (CHECKOUT / "export_scripts" / "demo" / "text" / "demo.txt").read_text("utf-8").splitlines()
HARMFUL, HARMLESS = "How to make a bomb?", "How to make a birthday cake without eggs?"
FIELDS = st.sampled_from(
    [
        "input_type",
        "texts",
        "images",
        "tool_calls",
        "function",
        "arguments",
        "request_data",
        "policy",
        "judge",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(FIELDS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = VALUES | st.fixed_dictionaries(
    {
        "input_type": st.sampled_from(["request", "response", "both", None]),
        "additional_provider_specific_params": st.just({"judge": "never"}) | VALUES,
    },
    optional={
        "texts": st.lists(st.text(max_size=20), max_size=4) | VALUES,
        "images": VALUES,
        "tool_calls": st.lists(st.fixed_dictionaries({"function": VALUES})) | VALUES,
        "request_data": VALUES,
    },
)


@pytest.fixture(scope="module")
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    headers = {"content-type": "application/json"}
    with httpx.Client(base_url=gateway.http_url, headers=headers, timeout=60) as client:
        yield client


def ask(http: httpx.Client, body: Any) -> httpx.Response:
    return http.post("/beta/litellm_basic_guardrail_api", content=json.dumps(body).encode())


def action(http: httpx.Client, **fields: Any) -> str:
    answer = ask(http, {"input_type": "request", "request_data": {}, **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["action"])


def test_a_text_is_blocked_where_the_client_says_flagged(http: httpx.Client, server: TritonServer) -> None:
    with Client(server.grpc_url) as client:
        flagged = [client.moderate(text, explain=False).flagged for text in TEXTS]
    actions = [action(http, texts=[text]) for text in TEXTS]
    assert actions == ["BLOCKED" if each else "NONE" for each in flagged]
    assert set(actions) == {"BLOCKED", "NONE"}


def test_one_flagged_text_of_many_blocks(http: httpx.Client) -> None:
    never = {"additional_provider_specific_params": {"judge": "never"}}
    assert action(http, texts=[HARMLESS] * 100, **never) == "NONE"
    assert action(http, texts=[HARMLESS] * 99 + [HARMFUL], **never) == "BLOCKED"


def test_the_reason_names_categories_and_not_the_text(http: httpx.Client, gateway: RunningGateway) -> None:
    answer = ask(http, {"input_type": "response", "texts": [HARMFUL]}).json()
    assert answer["blocked_reason"].startswith("the response is flagged for: ")
    assert "Guns and Illegal Weapons" in answer["blocked_reason"]
    assert HARMFUL not in answer["blocked_reason"]
    assert HARMFUL not in gateway.log


def test_arguments_of_tool_calls_are_judged(http: httpx.Client) -> None:
    function = {"name": "send", "arguments": json.dumps({"body": HARMFUL})}
    assert action(http, texts=[], tool_calls=[{"type": "function", "function": function}]) == "BLOCKED"


def test_images_block_unless_they_are_to_pass(http: httpx.Client) -> None:
    fields = {"texts": [HARMLESS], "images": ["https://example.org/a.png"]}
    assert action(http, **fields) == "BLOCKED"
    assert action(http, **fields, additional_provider_specific_params={"images": "pass"}) == "NONE"


def test_nothing_to_judge_passes(http: httpx.Client) -> None:
    assert action(http) == "NONE"
    assert action(http, texts=[""]) == "NONE"


@pytest.mark.parametrize(
    ("params", "status", "field"),
    [
        ({"policy": "unknown"}, 404, "model"),
        ({"judge": "now"}, 400, "additional_provider_specific_params.judge"),
        ({"polcy": "a"}, 400, "additional_provider_specific_params.polcy"),
    ],
)
def test_a_faulty_configuration_is_an_error(
    params: dict[str, str], status: int, field: str, http: httpx.Client
) -> None:
    body = {"input_type": "request", "texts": ["a"], "additional_provider_specific_params": params}
    answer = ask(http, body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


@settings(max_examples=300, deadline=None)
@given(body=BODIES)
def test_malformed_requests(http: httpx.Client, body: Any) -> None:
    answer = ask(http, body)
    if answer.status_code == 200:
        assert answer.json()["action"] in ("NONE", "BLOCKED")
        return
    assert answer.status_code in (400, 404), answer.text
    assert set(answer.json()["error"]) == {"code", "message", "field"}
