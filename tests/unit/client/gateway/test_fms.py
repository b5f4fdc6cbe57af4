"""What the detectors of the FMS dialect report of a decision."""

from typing import Any

import pytest
from tribunal.gateway.decision import decide
from tribunal.gateway.dialects.fms import Finding, error_document, findings
from tribunal.gateway.errors import invalid
from tribunal.gateway.policies import Policy, ServerPolicy
from tribunal.verdict import Verdict

from tests.unit.client.gateway.verdicts import ANSWERED, FAILED, SKIPPED, verdict

CATEGORIES_FLAG = {"category_threshold": 0.8}
FLAGGED = ("tribunal", "flagged", 1.0)
VIOLENCE = ("aegis", "Violence", 0.8125)
TOXICITY = ("judge", "toxicity", 0.75)
REFUSAL = ("rejection", "refusal", 0.875)
JUDGE_FAILURE = ("judge", "judge_failure", 1.0)


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
        ({}, verdict(truncated=True), [FLAGGED, ("tribunal", "truncation", 1.0)]),
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
    assert found(detector, {}, verdict(SKIPPED, truncated=True)) == [(detector, "truncation", 1.0)]


def test_a_failed_judge_is_reported_by_the_judge() -> None:
    assert found("judge", {}, verdict(FAILED)) == [JUDGE_FAILURE]


@pytest.mark.parametrize(("score", "expected"), [(0.25, []), (0.875, [REFUSAL])])
def test_without_a_policy_the_server_says_what_a_refusal_is(score: float, expected: list[Finding]) -> None:
    policy = ServerPolicy()
    decision = decide(policy, verdict(refusal=score))
    assert findings("rejection", policy, decision) == expected


def test_the_code_of_an_error_is_its_status() -> None:
    assert error_document(invalid("contents: too many", "contents")) == {
        "code": 400,
        "message": "contents: too many",
    }
