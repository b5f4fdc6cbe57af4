"""OpenAI's categories, and which of ours each is made of.

Ours are those of the Aegis taxonomy (`tribunal.gateway.categories`); OpenAI's are defined in its API's
reference at https://developers.openai.com/api/reference/resources/moderations.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tribunal.gateway.categories import Category


@dataclass(frozen=True)
class Mapped:
    """What one category of OpenAI's is made of.

    sources: of ours; it has the largest of their scores, and none means 0. reason: why these.
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
        (), "It needs hatred and a threat together, which the larger of two scores does not say."
    ),
    "illicit": Mapped(
        (
            "Controlled/Regulated Substances",
            "Criminal Planning/Confessions",
            "Deception/Fraud",
            "Guns and Illegal Weapons",
        ),
        "Each is about doing wrong; OpenAI's illicit includes its subcategory illicit/violent.",
    ),
    "illicit/violent": Mapped(
        ("Guns and Illegal Weapons",), "OpenAI's definition names advice on getting any weapon."
    ),
    "self-harm": Mapped(("Suicide and Self Harm",), "Both mean the same."),
    "self-harm/intent": Mapped((), "Ours does not tell an intention from other mentions of self-harm."),
    "self-harm/instructions": Mapped((), "Ours does not tell instructions from other mentions of self-harm."),
    "sexual": Mapped(("Sexual", "Sexual (minor)"), "OpenAI's sexual includes its subcategory sexual/minors."),
    "sexual/minors": Mapped(("Sexual (minor)",), "Both mean the same."),
    "violence": Mapped(("Violence",), "Both mean the same; threats are under harassment/threatening."),
    "violence/graphic": Mapped((), "Ours does not tell how graphic a description is."),
}


def openai_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """The score of each category of OpenAI's, from the scores of ours."""
    return {
        name: max((scores[source] for source in mapped.sources), default=0.0)
        for name, mapped in OPENAI_CATEGORIES.items()
    }


def openai_detected(detected: Collection[str]) -> dict[str, bool]:
    """Whether each category of OpenAI's is detected, from the names of ours that are."""
    return {
        name: any(source in detected for source in mapped.sources)
        for name, mapped in OPENAI_CATEGORIES.items()
    }


def openai_input_types() -> dict[str, list[str]]:
    """What each category of OpenAI's was scored on: text, or nothing where it is made of none of ours."""
    return {name: ["text"] if mapped.sources else [] for name, mapped in OPENAI_CATEGORIES.items()}
