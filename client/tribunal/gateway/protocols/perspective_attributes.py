"""Scores for the attributes of Perspective API."""

from collections.abc import Iterable, Mapping

from tribunal.gateway.moderation.categories import Category
from tribunal.verdict import Span, Verdict

TOXICITY = "TOXICITY"

# An attribute's score is the highest score of its categories. None of the models was trained on
# Perspective's labels: a threshold that was tuned on Perspective has to be tuned again.
CATEGORIES_OF: Mapping[str, tuple[Category, ...]] = {
    "SEVERE_TOXICITY": ("Hate/Identity Hate", "Threat", "Violence"),
    "IDENTITY_ATTACK": ("Hate/Identity Hate",),
    "INSULT": ("Harassment",),
    "PROFANITY": ("Profanity",),
    "THREAT": ("Threat",),
    "SEXUALLY_EXPLICIT": ("Sexual", "Sexual (minor)"),
}
ATTRIBUTES = (TOXICITY, *CATEGORIES_OF)


def attribute_score(attribute: str, verdict: Verdict) -> float:
    """The score of one of ATTRIBUTES.

    TOXICITY is the judge's P(toxic). If the judge gave no answer, it is the highest score of the other
    attributes.
    """
    if attribute == TOXICITY and verdict.toxicity.score is not None:
        return verdict.toxicity.score
    return _highest(attribute, verdict)


def span_score(attribute: str, span: Span) -> float | None:
    """The encoders' score of one of ATTRIBUTES in a sentence; None if it crosses no threshold there."""
    is_detected = not set(span.categories.flagged).isdisjoint(_categories(attribute))
    return _highest(attribute, span) if is_detected else None


def _highest(attribute: str, scored: Verdict | Span) -> float:
    return max(scored.categories.scores[name] for name in _categories(attribute))


def _categories(attribute: str) -> Iterable[Category]:
    if attribute != TOXICITY:
        return CATEGORIES_OF[attribute]
    return {name for categories in CATEGORIES_OF.values() for name in categories}
