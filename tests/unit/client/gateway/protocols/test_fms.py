"""Detections of the FMS detectors API for a decision."""

from typing import Any

import pytest
from tribunal.gateway.errors import GatewayError, invalid
from tribunal.gateway.moderation.decision import decide
from tribunal.gateway.moderation.policies import Policy, ServerPolicy
from tribunal.gateway.protocols.fms import Finding, Message, detection, error_document, findings, last_turn
from tribunal.verdict import Verdict

from tests.unit.client.gateway.verdicts import ANSWERED, FAILED, SKIPPED, span, verdict

CATEGORIES_FLAG = {"category_threshold": 0.8}
FLAGGED = Finding("tribunal", "flagged", 1.0)
VIOLENCE = Finding("aegis", "Violence", 0.8125)
TOXICITY = Finding("judge", "toxicity", 0.75)
REFUSAL = Finding("rejection", "refusal", 0.875)
JUDGE_FAILURE = Finding("judge", "judge_failure", 1.0)


def found(detector: str, policy: dict[str, Any], of: Verdict) -> list[Finding]:
    chosen = Policy(**policy)
    return findings(detector, chosen, decide(chosen, of))


@pytest.mark.parametrize(
    ("policy", "of", "expected"),
    [
        ({}, verdict(), []),
        (CATEGORIES_FLAG, verdict(), [FLAGGED, VIOLENCE]),
        ({}, verdict(ANSWERED), [FLAGGED, TOXICITY]),
        ({"toxicity_threshold": 0.8}, verdict(ANSWERED), []),
        ({}, verdict(FAILED), [FLAGGED, JUDGE_FAILURE]),
        ({"judge_failure": "pass"}, verdict(FAILED), []),
        ({}, verdict(refusal=0.875), []),
        ({"refusal": "flag"}, verdict(refusal=0.875), [FLAGGED, REFUSAL]),
        ({}, verdict(truncated=True), [FLAGGED, Finding("tribunal", "truncation", 1.0)]),
        ({"truncation": "pass"}, verdict(truncated=True), []),
    ],
)
def test_tribunal_reports_what_the_policy_flags(
    policy: dict[str, Any], of: Verdict, expected: list[Finding]
) -> None:
    assert found("tribunal", policy, of) == expected


@pytest.mark.parametrize(
    ("detector", "expected"),
    [
        ("aegis", [VIOLENCE]),
        ("judge", [TOXICITY]),
        ("rejection", [REFUSAL]),
    ],
)
def test_each_detector_reports_its_own(detector: str, expected: list[Finding]) -> None:
    assert found(detector, CATEGORIES_FLAG, verdict(ANSWERED, refusal=0.875)) == expected


@pytest.mark.parametrize("detector", ["aegis", "rejection"])
def test_encoders_report_a_text_whose_end_they_did_not_read(detector: str) -> None:
    assert found(detector, {}, verdict(SKIPPED, truncated=True)) == [Finding(detector, "truncation", 1.0)]


def test_a_failed_judge_is_reported_by_the_judge() -> None:
    assert found("judge", {}, verdict(FAILED)) == [JUDGE_FAILURE]


@pytest.mark.parametrize(("score", "expected"), [(0.25, []), (0.875, [REFUSAL])])
def test_without_a_policy_the_server_says_what_a_refusal_is(score: float, expected: list[Finding]) -> None:
    policy = ServerPolicy()
    decision = decide(policy, verdict(refusal=score))
    assert findings("rejection", policy, decision) == expected


FIRST, SECOND = span(0, 4, Violence=0.8125), span(5, 9, Violence=0.9375)
APOLOGY = span(10, 12, refusal=0.875)


def test_a_category_is_found_in_each_sentence_that_it_is_detected_in() -> None:
    of = verdict(ANSWERED, spans=(FIRST, SECOND, APOLOGY))
    assert found("tribunal", CATEGORIES_FLAG, of) == [
        FLAGGED,
        VIOLENCE._replace(span=FIRST),
        Finding("aegis", "Violence", 0.9375, SECOND),
        TOXICITY,
    ]


def test_what_no_sentence_explains_is_found_in_the_whole_text() -> None:
    of = verdict(spans=(span(0, 4, Threat=0.9375),))
    assert found("aegis", CATEGORIES_FLAG, of) == [VIOLENCE]


@pytest.mark.parametrize(("detector", "policy"), [("rejection", {}), ("tribunal", {"refusal": "flag"})])
def test_a_refusal_is_found_in_its_sentence(detector: str, policy: dict[str, Any]) -> None:
    of = verdict(refusal=0.875, spans=(APOLOGY,))
    assert found(detector, policy, of)[-1] == REFUSAL._replace(span=APOLOGY)


def test_a_detection_has_the_text_of_its_sentence_in_code_points() -> None:
    text = "😀 Hi. Bye."
    whole, sentence = detection(text, VIOLENCE), detection(text, VIOLENCE._replace(span=span(6, 10)))
    assert (whole.start, whole.end, whole.text) == (0, len(text), text)
    assert (sentence.start, sentence.end, sentence.text) == (6, 10, "Bye.")


def test_the_code_of_an_error_is_its_status() -> None:
    assert error_document(invalid("contents: too many", "contents")) == {
        "code": 400,
        "message": "contents: too many",
    }


def turn(*messages: tuple[str, Any]) -> dict[str, str]:
    of_roles = ({"role": role, "content": content} for role, content in messages)
    return last_turn([Message.model_validate(message) for message in of_roles])


def test_the_last_turn_of_a_chat_is_read() -> None:
    parts = [{"type": "text", "text": "d"}]
    assert turn(("user", "a"), ("assistant", "b"), ("user", "c"), ("user", parts)) == {
        "messages[2].content": "c",
        "messages[3].content[0][0]": "d",
    }


@pytest.mark.parametrize("content", [None, [], [{"type": "image_url", "image_url": {}}], [{"type": "file"}]])
def test_a_turn_that_is_not_read_is_refused(content: Any) -> None:
    with pytest.raises(GatewayError):
        turn(("user", "a"), ("assistant", content))
