"""What the server says of a text, as frozen values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tribunal.contract import ToxicityLabel, ToxicityStatus
from tribunal.errors import ServerError


@dataclass(frozen=True)
class Refusal:
    """Is the text an LLM's refusal?

    score: P(REJECTION), in [0, 1].
    detected: the score is at or above the server's threshold. A refusal does not flag a text.
    """

    detected: bool
    score: float


@dataclass(frozen=True)
class Categories:
    """Which safety categories does the text touch?

    scores: probability of each category, each in [0, 1] by itself.
    flagged: names of those at or above their thresholds, in the order of `scores`.
    """

    flagged: tuple[str, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Toxicity:
    """What does the LLM that judges say?

    status: `answered`, `skipped` (it was not asked), `unavailable` (it is down, or took too long) or
    `unparsed` (its answer had no label).
    label: `toxic` or `non-toxic`; score: P(toxic), in [0, 1]. Both are None unless it answered.
    reason: its own words, None also where none was asked for.
    """

    status: ToxicityStatus
    label: ToxicityLabel | None
    score: float | None
    reason: str | None


@dataclass(frozen=True)
class Verdict:
    """The decision on one text and what it rests on.

    windows: how many windows of 512 tokens the encoders read the text in.
    truncated: the text has more than the server reads; the encoders have not seen its end.
    """

    flagged: bool
    refusal: Refusal
    categories: Categories
    toxicity: Toxicity
    windows: int
    truncated: bool

    @classmethod
    def from_json(cls, document: bytes) -> "Verdict":
        """Parse the server's verdict document; raises ServerError where it is not one.

        Fields that this client does not know are those of a newer server, and are left out.
        """
        try:
            verdict = json.loads(document)
            refusal, categories, toxicity = (verdict[name] for name in ("refusal", "categories", "toxicity"))
            return cls(
                flagged=verdict["flagged"],
                refusal=Refusal(detected=refusal["detected"], score=refusal["score"]),
                categories=Categories(flagged=tuple(categories["flagged"]), scores=categories["scores"]),
                toxicity=Toxicity(
                    status=toxicity["status"],
                    label=toxicity["label"],
                    score=toxicity["score"],
                    reason=toxicity["reason"],
                ),
                windows=verdict["windows"],
                truncated=verdict["truncated"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ServerError(
                f"the server's verdict is not in the form that this client knows ({error!r}); are client "
                "and server of the same version?"
            ) from error
