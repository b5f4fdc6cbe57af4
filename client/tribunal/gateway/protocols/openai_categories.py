"""OpenAI's categories, each made of ours.

Ours are those of the Aegis taxonomy (`moderation.categories`); OpenAI's are defined in its API's reference at
https://developers.openai.com/api/reference/resources/moderations.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tribunal.gateway.moderation.categories import Category


@dataclass(frozen=True)
class Mapped:
    """The categories of ours that one of OpenAI's consists of.

    sources: its score is the largest of theirs, or 0 if there are none. reason: why these.
    """

    sources: tuple[Category, ...]
    reason: str


OPENAI_CATEGORIES: Mapping[str, Mapped] = {
    "harassment": Mapped(
        ("Harassment", "Threat"), "OpenAI's harassment includes its subcategory harassment/threatening."
    ),
    "harassment/threatening": Mapped(("Threat",), "A threat announces harm to somebody."),
    "hate": Mapped(("Hate/Identity Hate",), "Both mean hatred of a protected group."),
    "hate/threatening": Mapped(
        (), "It needs hatred and a threat together, which the larger of two scores does not show."
    ),
    "illicit": Mapped(
        (
            "Controlled/Regulated Substances",
            "Criminal Planning/Confessions",
            "Deception/Fraud",
            "Guns and Illegal Weapons",
        ),
        "Each is about wrongdoing; OpenAI's illicit includes its subcategory illicit/violent.",
    ),
    "illicit/violent": Mapped(
        ("Guns and Illegal Weapons",), "OpenAI's definition names advice on getting any weapon."
    ),
    "self-harm": Mapped(("Suicide and Self Harm",), "Both mean the same."),
    "self-harm/intent": Mapped((), "Ours does not distinguish intent from other mentions of self-harm."),
    "self-harm/instructions": Mapped(
        (), "Ours does not distinguish instructions from other mentions of self-harm."
    ),
    "sexual": Mapped(("Sexual", "Sexual (minor)"), "OpenAI's sexual includes its subcategory sexual/minors."),
    "sexual/minors": Mapped(("Sexual (minor)",), "Both mean the same."),
    "violence": Mapped(("Violence",), "Both mean the same; threats are under harassment/threatening."),
    "violence/graphic": Mapped((), "Ours does not measure how graphic a description is."),
}


def openai_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """The score of each category of OpenAI's, from the scores of ours."""
    return {
        name: max((scores[source] for source in mapped.sources), default=0.0)
        for name, mapped in OPENAI_CATEGORIES.items()
    }


def openai_detected(detected: Collection[str]) -> dict[str, bool]:
    """Whether each category of OpenAI's is detected, from the names of our detected categories."""
    return {
        name: any(source in detected for source in mapped.sources)
        for name, mapped in OPENAI_CATEGORIES.items()
    }


def openai_input_types() -> dict[str, list[str]]:
    """The input types that each category of OpenAI's was scored on: text, or none if it has no sources."""
    return {name: ["text"] if mapped.sources else [] for name, mapped in OPENAI_CATEGORIES.items()}
