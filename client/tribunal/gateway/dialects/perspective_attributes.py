"""Which scores stand for the attributes of Perspective API."""

from collections.abc import Mapping

from tribunal.gateway.categories import Category
from tribunal.verdict import Verdict

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

    TOXICITY is the judge's P(toxic). Where the judge gave no answer, it is the highest score of the other
    attributes.
    """
    if attribute != TOXICITY:
        return max(verdict.categories.scores[name] for name in CATEGORIES_OF[attribute])
    if verdict.toxicity.score is not None:
        return verdict.toxicity.score
    return max(attribute_score(other, verdict) for other in CATEGORIES_OF)
