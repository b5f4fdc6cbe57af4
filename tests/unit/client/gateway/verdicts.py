"""Verdicts for tests of the gateway."""

from tribunal.gateway.moderation.categories import CATEGORIES
from tribunal.verdict import Categories, Refusal, Span, Toxicity, Verdict

ANSWERED = Toxicity("answered", "toxic", 0.75, "It insults.")
FAILED = Toxicity("unavailable", None, None, None)
SKIPPED = Toxicity("skipped", None, None, None)


def verdict(
    toxicity: Toxicity = SKIPPED,
    *,
    flagged: bool = False,
    refusal: float = 0.25,
    truncated: bool = False,
    spans: tuple[Span, ...] | None = None,
) -> Verdict:
    """The n-th category has the score n/16, so that all scores differ and are exact in binary."""
    scores: dict[str, float] = {name: index / 16 for index, name in enumerate(CATEGORIES)}
    return Verdict(
        flagged=flagged,
        refusal=Refusal(refusal >= 0.5, refusal),
        categories=Categories((), scores),
        toxicity=toxicity,
        windows=1,
        truncated=truncated,
        spans=spans,
    )


def span(start: int, end: int, refusal: float = 0.0, **scores: float) -> Span:
    """A sentence with detections at scores of 0.5 or more; the default score of a category is 0."""
    all_scores = {str(name): scores.get(str(name), 0.0) for name in CATEGORIES}
    flagged = tuple(name for name, score in all_scores.items() if score >= 0.5)
    return Span(start, end, Refusal(refusal >= 0.5, refusal), Categories(flagged, all_scores))
