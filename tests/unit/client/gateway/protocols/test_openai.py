"""OpenAI's API: its inputs, models as names of policies, and its error format."""

import pytest
from tribunal.gateway.caller import Caller
from tribunal.gateway.errors import GatewayError, invalid, overloaded
from tribunal.gateway.moderation.decision import decide
from tribunal.gateway.moderation.policies import Policies, Policy, ServerPolicy
from tribunal.gateway.protocols.openai import (
    TextPart,
    error_document,
    policy_name,
    require_input,
    result,
    texts_of,
)
from tribunal.gateway.settings import MAX_TEXTS

from tests.unit.client.gateway.verdicts import span, verdict

ALICE = Caller("alice", "strict")
POLICIES = Policies({"default": Policy(), "strict": Policy(), "text-moderation-house": Policy()})
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
TEXT = {"type": "text", "text": "a"}


@pytest.mark.parametrize("value", ["", "a", ["a", ""], [TEXT], [TEXT, TEXT]])
def test_valid_inputs(value: object) -> None:
    assert require_input(value) is value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (None, "input"),
        (1, "input"),
        ({}, "input"),
        ([], "input"),
        (["a"] * (MAX_TEXTS + 1), "input"),
        (["a", 1], "input[1]"),
        (["a", None], "input[1]"),
        (["a", TEXT], "input[1]"),
        ([1, 2], "input[0]"),
        ([[1, 2]], "input[0]"),
        ([None], "input[0]"),
        ([TEXT, "a"], "input[1]"),
        ([TEXT, IMAGE], "input[1]"),
        ([{"type": "audio"}], "input[0].type"),
        ([{"text": "a"}], "input[0].type"),
        ([{"type": "text"}], "input[0].text"),
        ([{"type": "text", "text": 1}], "input[0].text"),
        ([{**TEXT, "other": 1}], "input[0].text"),
    ],
)
def test_invalid_inputs_name_their_place(value: object, place: str) -> None:
    with pytest.raises(GatewayError) as raised:
        require_input(value)
    assert (raised.value.status, raised.value.field) == (400, place)


def test_strings_are_texts_and_parts_are_one_text() -> None:
    assert texts_of("a") == {"input": "a"}
    assert texts_of(["a", "b"]) == {"input[0]": "a", "input[1]": "b"}
    assert texts_of([TextPart(type="text", text="a"), TextPart(type="text", text="b")]) == {"input": "a\nb"}


@pytest.mark.parametrize(
    ("model", "policy"),
    [
        (None, "strict"),
        ("omni-moderation-latest", "strict"),
        ("text-moderation-stable", "strict"),
        ("text-moderation-house", "text-moderation-house"),
        ("default", "default"),
        ("unknown", "unknown"),
    ],
)
def test_models_of_openai_mean_the_policy_of_the_key(model: str | None, policy: str) -> None:
    assert policy_name(model, ALICE, POLICIES) == policy


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (invalid("wrong", "input"), "invalid_request_error", "invalid_request"),
        (GatewayError(401, "unauthorized", "who?"), "invalid_request_error", "invalid_api_key"),
        (GatewayError(404, "policy_not_found", "none", "model"), "invalid_request_error", "model_not_found"),
        (GatewayError(429, "rate_limited", "slower"), "requests", "rate_limit_exceeded"),
        (overloaded(1), "requests", "rate_limit_exceeded"),
        (GatewayError(503, "unavailable", "down"), "server_error", "unavailable"),
    ],
)
def test_form_of_errors(error: GatewayError, kind: str, code: str) -> None:
    assert error_document(error) == {
        "error": {"message": error.message, "type": kind, "param": error.field, "code": code}
    }


def test_spans_are_there_only_where_they_were_asked_for() -> None:
    found = span(0, 4, Violence=0.75)
    with_spans = result(decide(ServerPolicy(), verdict(spans=(found,)))).model_dump(exclude_unset=True)
    without = result(decide(ServerPolicy(), verdict())).model_dump(exclude_unset=True)
    assert set(with_spans) - set(without) == {"spans"}
    assert (with_spans["spans"][0]["start"], with_spans["spans"][0]["end"]) == (0, 4)
    assert with_spans["spans"][0]["categories"]["flagged"] == ("Violence",)
