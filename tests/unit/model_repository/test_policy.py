"""Decisions from scores."""

import json
from typing import Any

import jsonschema
import pytest

from launcher.repository.contract import MODEL_REPOSITORY, category_labels
from model_repository.verdict.logic.answer import SKIPPED, UNAVAILABLE, Judgement
from model_repository.verdict.logic.policy import Policy

LABELS = category_labels()
SCHEMA = json.loads((MODEL_REPOSITORY / "verdict" / "verdict.schema.json").read_text("utf-8"))
DEFAULTS = {
    "rejection_threshold": "0.5",
    "category_threshold": "0.5",
    "category_thresholds": "{}",
    "toxicity_threshold": "0.5",
    "judge_failure": "flag",
    "truncation": "flag",
}


def policy(**parameters: str) -> Policy:
    return Policy.from_parameters({**DEFAULTS, **parameters}, LABELS)


def scores(**by_label: float) -> list[float]:
    return [by_label.get(label, 0.0) for label in LABELS]


def test_a_score_at_its_threshold_flags() -> None:
    verdict = policy().decide(0.1, scores(Threat=0.5, Violence=0.499999), SKIPPED, 1, truncated=False)
    assert verdict["flagged"]
    assert verdict["categories"]["flagged"] == ["Threat"]


def test_a_refusal_is_reported_and_does_not_flag() -> None:
    verdict = policy().decide(0.5, scores(), SKIPPED, 1, truncated=False)
    assert verdict["refusal"] == {"detected": True, "score": 0.5}
    assert not verdict["flagged"]


def test_an_override_holds_only_for_its_category() -> None:
    strict = policy(category_threshold="0.9", category_thresholds='{"Threat": 0.2}')
    verdict = strict.decide(0, scores(Threat=0.3, Violence=0.8, Profanity=0.9), SKIPPED, 1, truncated=False)
    assert verdict["categories"]["flagged"] == ["Profanity", "Threat"]


@pytest.mark.parametrize(
    ("judgement", "failure", "flags"),
    [
        (Judgement("answered", "toxic", 0.5), "pass", True),
        (Judgement("answered", "non-toxic", 0.499), "flag", False),
        (UNAVAILABLE, "flag", True),
        (Judgement("unparsed"), "flag", True),
        (UNAVAILABLE, "pass", False),
        (SKIPPED, "flag", False),
    ],
)
def test_the_judge_flags_by_its_score_and_fails_closed(
    judgement: Judgement, failure: str, flags: bool
) -> None:
    assert (
        policy(judge_failure=failure).decide(0, scores(), judgement, 1, truncated=False)["flagged"] is flags
    )


@pytest.mark.parametrize(
    ("judgement", "parameters", "flags"),
    [
        (SKIPPED, {}, True),
        (SKIPPED, {"truncation": "pass"}, False),
        (Judgement("answered", "non-toxic", 0.1), {}, False),
        (UNAVAILABLE, {"judge_failure": "pass"}, True),
        (UNAVAILABLE, {"judge_failure": "pass", "truncation": "pass"}, False),
        (UNAVAILABLE, {"truncation": "pass"}, True),
    ],
)
def test_a_truncated_text_flags_that_nobody_read_to_its_end(
    judgement: Judgement, parameters: dict[str, str], flags: bool
) -> None:
    assert policy(**parameters).decide(0, scores(), judgement, 32, truncated=True)["flagged"] is flags


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rejection_threshold": "1.5"}, "rejection_threshold is 1.5"),
        ({"category_threshold": "nan"}, "must be between 0 and 1"),
        ({"category_threshold": "high"}, "could not convert"),
        ({"category_thresholds": '{"Rudeness": 0.5}'}, r"unknown categories \['Rudeness'\]"),
        ({"category_thresholds": '{"Threat": -0.1}'}, "the threshold of Threat is -0.1"),
        ({"category_thresholds": "[0.5]"}, "must be a JSON object"),
        ({"category_thresholds": "{"}, "Expecting property name"),
        ({"toxicity_threshold": "2"}, "toxicity_threshold is 2"),
        ({"judge_failure": "ignore"}, "judge_failure is 'ignore'; it must be one of flag, pass"),
        ({"truncation": "ask"}, "truncation is 'ask'; it must be one of flag, pass"),
    ],
)
def test_a_wrong_config_is_refused_with_its_name(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy(**parameters)


def test_the_verdict_follows_its_schema() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    judgement = Judgement("answered", "toxic", 0.9, "A reason.")
    verdict = policy().decide(0.25, scores(Sexual=1.0), judgement, 32, truncated=True)
    assert (verdict["windows"], verdict["truncated"]) == (32, True)
    assert list(validator.iter_errors(json.loads(json.dumps(verdict)))) == []
    broken: list[dict[str, Any]] = [
        {**verdict, "flagged": "yes"},
        {**verdict, "refusal": {"detected": True, "score": 1.5}},
        {**verdict, "categories": {"flagged": [], "scores": {}}},
        {**verdict, "extra": 1},
        {**verdict, "windows": 0},
        {**verdict, "toxicity": {"status": "asleep", "label": None, "score": None, "reason": None}},
    ]
    assert all(list(validator.iter_errors(document)) for document in broken)
