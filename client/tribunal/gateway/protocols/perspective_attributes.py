"""Scores for the attributes of Perspective API."""

from collections.abc import Iterable, Mapping

from tribunal.gateway.moderation.categories import Category
from tribunal.gateway.moderation.decision import Decision
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


def attribute_score(attribute: str, decision: Decision) -> float:
    """The score of one of ATTRIBUTES.

    TOXICITY is the highest of the judge's P(toxic) and of the scores that make the text flagged; if the
    judge gave no answer, also of the other attributes. It is 1 if the text is flagged without a score.
    """
    verdict = decision.verdict
    if attribute != TOXICITY:
        return _highest(attribute, verdict)
    scores = [verdict.categories.scores[name] for name in decision.categories]
    scores.append(_highest(attribute, verdict) if verdict.toxicity.score is None else verdict.toxicity.score)
    if decision.refusal:
        scores.append(verdict.refusal.score)
    if decision.flagged and not decision.reasons:
        scores.append(1.0)
    return max(scores)


def span_score(attribute: str, span: Span) -> float | None:
    """The encoders' score of one of ATTRIBUTES in a sentence; None if it crosses no threshold there."""
    if attribute == TOXICITY:
        # Of the categories that make the text flagged, so that no sentence scores more than the text.
        return max((span.categories.scores[name] for name in span.categories.flagged), default=None)
    is_detected = not set(span.categories.flagged).isdisjoint(_categories(attribute))
    return _highest(attribute, span) if is_detected else None


def _highest(attribute: str, scored: Verdict | Span) -> float:
    return max(scored.categories.scores[name] for name in _categories(attribute))


def _categories(attribute: str) -> Iterable[Category]:
    if attribute != TOXICITY:
        return CATEGORIES_OF[attribute]
    return {name for categories in CATEGORIES_OF.values() for name in categories}
