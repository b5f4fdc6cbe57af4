"""Counts the outcomes of a mixed load, and compares verdicts with the expected ones."""

import math
import threading
from collections import Counter
from dataclasses import dataclass, field

from tribunal import Verdict

# Batching and padding change the last digits of a score.
SCORE_TOLERANCE = 1e-3


@dataclass
class Tally:
    """Counts of requests by outcome; the callers' threads share it and hold `lock` to change it.

    sent: all requests.
    answered: requests with verdicts, right or wrong.
    cancelled: requests that their caller cancelled.
    refused: invalid requests that the server refused.
    failed: requests that ended with a typed error, by its type.
    wrong: a line for each wrong answer.
    without_judge: verdicts that lack the judge's answer.
    """

    sent: int = 0
    answered: int = 0
    cancelled: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    without_judge: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def lost(self) -> int:
        """Requests with no other outcome: their caller got no response."""
        return self.sent - self.answered - self.cancelled - self.refused - sum(self.failed.values())


def agrees(verdict: Verdict, expected: Verdict) -> bool:
    """Whether a verdict has the expected scores and decision.

    If the judge gave no answer, the verdict is right only if the text is flagged (fail closed).
    """
    scores = [verdict.refusal.score, *verdict.categories.scores.values()]
    expected_scores = [expected.refusal.score, *expected.categories.scores.values()]
    pairs = zip(scores, expected_scores, strict=True)
    if not all(math.isclose(*pair, abs_tol=SCORE_TOLERANCE) for pair in pairs):
        return False
    if verdict.toxicity.status == "unavailable":
        return verdict.flagged and expected.toxicity.status != "skipped"
    return (verdict.flagged, verdict.toxicity.label) == (expected.flagged, expected.toxicity.label)
