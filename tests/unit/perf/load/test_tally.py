"""Answers that the soak test counts as wrong, and requests that it counts as lost."""

from dataclasses import replace

from tribunal import Categories, Refusal, Toxicity, Verdict

from perf.load.tally import Tally, agrees

EXPECTED = Verdict(
    flagged=False,
    refusal=Refusal(detected=False, score=0.1),
    categories=Categories(flagged=(), scores={"Violence": 0.2}),
    toxicity=Toxicity(status="answered", label="non-toxic", score=0.1, reason=None),
    windows=1,
    truncated=False,
)
UNAVAILABLE = Toxicity(status="unavailable", label=None, score=None, reason=None)


def test_a_different_score_decision_or_label_is_wrong() -> None:
    assert agrees(EXPECTED, EXPECTED)
    assert not agrees(replace(EXPECTED, refusal=Refusal(detected=False, score=0.2)), EXPECTED)
    assert not agrees(replace(EXPECTED, flagged=True), EXPECTED)
    toxic = replace(EXPECTED.toxicity, label="toxic")
    assert not agrees(replace(EXPECTED, toxicity=toxic), EXPECTED)


def test_an_unavailable_judge_must_flag() -> None:
    assert agrees(replace(EXPECTED, flagged=True, toxicity=UNAVAILABLE), EXPECTED)
    assert not agrees(replace(EXPECTED, flagged=False, toxicity=UNAVAILABLE), EXPECTED)


def test_a_request_without_any_outcome_is_lost() -> None:
    tally = Tally(sent=10, answered=5, cancelled=1, refused=1)
    tally.failed["ServerError"] = 2
    assert tally.lost == 1
