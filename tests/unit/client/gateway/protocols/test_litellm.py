"""LiteLLM's API: which texts are judged, and the reasons for blocking a request."""

import json

import pytest
from pydantic import ValidationError
from tribunal.gateway.errors import GatewayError, invalid
from tribunal.gateway.moderation.decision import Decision
from tribunal.gateway.protocols.litellm import GuardrailRequest, blocking_reasons, contents_of
from tribunal.gateway.protocols.verdicts import error_document
from tribunal.verdict import Categories, Refusal, Toxicity, Verdict

VERDICT = Verdict(
    False, Refusal(False, 0.0), Categories((), {}), Toxicity("skipped", None, None, None), 1, False
)


def decision(*categories: str, flagged: bool = True, toxic: bool = False) -> Decision:
    return Decision(VERDICT, flagged, categories, toxic, refusal=False, judge_failed=False, unread=False)


def request(**fields: object) -> GuardrailRequest:
    return GuardrailRequest.model_validate({"input_type": "request", **fields})


def call(arguments: str | None) -> dict[str, object]:
    return {"id": "1", "type": "function", "function": {"name": "send", "arguments": arguments}}


def texts(**fields: object) -> list[str]:
    return list(contents_of(request(**fields)).texts.values())


def test_content_is_read_in_every_field_and_each_text_once() -> None:
    contents = contents_of(
        request(
            texts=["a", ""],
            structured_messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            tools=[{"type": "function", "function": {"name": "send", "description": "Sends a text."}}],
            tool_calls=[call('{"c": "b"}')],
        )
    )
    assert contents.texts == {
        "texts[0]": "a",
        "texts[1]": "",
        "structured_messages[1].content": "b",
        "tools[0][0]": "Sends a text.",
        "tool_calls[0][0]": "c",
    }
    assert not contents.has_images
    assert not contents.has_unread


def test_a_request_has_a_limit_of_texts() -> None:
    strings = json.dumps([str(number) for number in range(1024)])
    assert len(texts(tool_calls=[call(strings)])) == 1024
    with pytest.raises(GatewayError, match="1024"):
        texts(texts=["a"], tool_calls=[call(strings)])


def test_what_litellm_sends_besides_is_not_read() -> None:
    fields: dict[str, object] = {
        "texts": None,
        "request_data": {"a": "b"},
        "litellm_version": "1",
        "structured_messages": [{}],
        "tools": [],
    }
    assert texts(**fields) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"input_type": "both"},
        {"texts": "a"},
        {"texts": [1]},
        {"texts": ["a"] * 1025},
        {"additional_provider_specific_params": {"polcy": "a"}},
        {"additional_provider_specific_params": {"judge": "now"}},
        {"additional_provider_specific_params": {"images": "ignore"}},
    ],
)
def test_faults_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        request(**fields)


def test_reasons_are_those_of_what_is_flagged_each_once() -> None:
    decisions = [
        decision("Threat", "Violence"),
        decision("Profanity", flagged=False),
        decision("Violence", toxic=True),
    ]
    assert blocking_reasons(decisions) == ["Threat", "Violence", "toxicity"]
    assert blocking_reasons([decision(flagged=False)]) == []


def test_what_is_flagged_for_no_reason_that_has_a_name_blocks() -> None:
    assert blocking_reasons([decision()]) == ["policy"]


def test_form_of_errors() -> None:
    assert error_document(invalid("wrong", "texts")) == {
        "error": {"code": "invalid_request", "message": "wrong", "field": "texts"}
    }
