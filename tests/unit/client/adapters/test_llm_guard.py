"""LLM Guard's scanners: their results for a verdict."""

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from tribunal import Categories, Client, InvalidInput, Refusal, ServerUnavailable, Toxicity, Verdict
from tribunal.adapters.llm_guard import NoRefusal, OutputModeration, PromptModeration, Scanned, scaled_risk

CLEAN = Verdict(
    flagged=False,
    refusal=Refusal(detected=False, score=0.25),
    categories=Categories((), {"Violence": 0.375, "Threat": 0.125}),
    toxicity=Toxicity("answered", "non-toxic", 0.25, None),
    windows=1,
    truncated=False,
)
TOXIC = replace(CLEAN, flagged=True, toxicity=Toxicity("answered", "toxic", 0.75, None))
VIOLENT = replace(
    CLEAN, flagged=True, categories=Categories(("Violence",), {"Violence": 0.875, "Threat": 0.5})
)
UNJUDGED = replace(CLEAN, flagged=True, toxicity=Toxicity("unavailable", None, None, None))
UNREAD = replace(CLEAN, flagged=True, truncated=True, toxicity=Toxicity("skipped", None, None, None))
SKIPPED = replace(CLEAN, toxicity=Toxicity("skipped", None, None, None))


@dataclass
class OneVerdict:
    """A client with one verdict for every text, or one error; it records its calls."""

    verdict: Verdict | ServerUnavailable
    asked: tuple[str, Any] = ("", None)

    def moderate(self, text: str, *, judge: str | None = None, explain: bool = True) -> Verdict:  # noqa: ARG002
        self.asked = (text, judge)
        if isinstance(self.verdict, ServerUnavailable):
            raise self.verdict
        return self.verdict


def client(verdict: Verdict | ServerUnavailable) -> Client:
    return cast("Client", OneVerdict(verdict))


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (CLEAN, ("text", True, 0.375)),
        (SKIPPED, ("text", True, 0.375)),
        (TOXIC, ("text", False, 0.75)),
        (VIOLENT, ("text", False, 0.875)),
        (UNJUDGED, ("text", False, 1.0)),
        (UNREAD, ("text", False, 1.0)),
    ],
)
def test_what_the_server_flags_is_not_valid(verdict: Verdict, expected: Scanned) -> None:
    assert PromptModeration(client(verdict)).scan("text") == expected
    assert OutputModeration(client(verdict)).scan("prompt", "text") == expected


def test_the_judge_is_asked_as_the_scanner_was_told() -> None:
    asked = OneVerdict(CLEAN)
    OutputModeration(cast("Client", asked), judge="auto").scan("prompt", "output")
    assert asked.asked == ("output", "auto")


@pytest.mark.parametrize(
    ("score", "threshold", "valid", "risk"),
    [(0.75, 0.75, True, 0.0), (0.875, 0.75, False, 0.5), (1.0, 0.5, False, 1.0), (0.0, 0.5, True, -1.0)],
)
def test_a_score_above_the_threshold_is_a_refusal(
    score: float, threshold: float, valid: bool, risk: float
) -> None:
    refusing = replace(CLEAN, refusal=Refusal(score >= 0.5, score))
    scanner = NoRefusal(client(refusing), threshold=threshold)
    assert scanner.scan("prompt", "output") == ("output", valid, risk)


def test_a_text_whose_end_was_not_read_may_refuse_there() -> None:
    assert NoRefusal(client(UNREAD)).scan("prompt", "output") == ("output", False, 1.0)


def test_nothing_is_no_refusal() -> None:
    asked = OneVerdict(CLEAN)
    assert NoRefusal(cast("Client", asked)).scan("prompt", " \n") == (" \n", True, -1.0)
    assert asked.asked == ("", None)


def test_without_a_verdict_nothing_is_valid() -> None:
    unreachable = client(ServerUnavailable("no server"))
    with pytest.raises(ServerUnavailable):
        PromptModeration(unreachable).scan("text")
    with pytest.raises(ServerUnavailable):
        OutputModeration(unreachable).scan("prompt", "text")
    with pytest.raises(ServerUnavailable):
        NoRefusal(unreachable).scan("prompt", "text")


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, float("nan")])
def test_a_threshold_lies_between_0_and_1(threshold: float) -> None:
    with pytest.raises(InvalidInput, match="threshold"):
        NoRefusal(client(CLEAN), threshold=threshold)


def test_risk_is_the_distance_from_the_threshold() -> None:
    assert [scaled_risk(score, 0.75) for score in (0.0, 0.3, 0.75, 0.8, 1.0)] == [-1.0, -0.6, 0.0, 0.2, 1.0]
