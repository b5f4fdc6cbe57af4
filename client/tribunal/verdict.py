"""The server's verdict on a text, as frozen values."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

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

    scores: independent probability of each category, in [0, 1].
    flagged: names of the categories at or above their thresholds, in the order of `scores`.
    """

    flagged: tuple[str, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Toxicity:
    """The answer of the LLM judge.

    status: `answered`, `skipped` (it was not asked), `unavailable` (it is down, or took too long) or
    `unparsed` (its answer had no label).
    label: `toxic` or `non-toxic`; score: P(toxic), in [0, 1]. Both are None unless it answered.
    reason: the judge's own words; None unless it answered, or without `explain`.
    """

    status: ToxicityStatus
    label: ToxicityLabel | None
    score: float | None
    reason: str | None


@dataclass(frozen=True)
class Span:
    """A sentence whose own scores cross a threshold.

    start, end: `text[start:end]` is the sentence; both count code points, like Python's strings.
    """

    start: int
    end: int
    refusal: Refusal
    categories: Categories


@dataclass(frozen=True)
class Verdict:
    """The decision on one text, and its reasons.

    windows: number of windows of 512 tokens in which the encoders read the text.
    truncated: the encoders did not read the end of the text.
    spans: the sentences that cross a threshold, in order; None if not requested.

    `json.dumps` does not take it: use `as_json()`, or `as_document()` for a dict.
    """

    flagged: bool
    refusal: Refusal
    categories: Categories
    toxicity: Toxicity
    windows: int
    truncated: bool
    spans: tuple[Span, ...] | None = None

    def as_document(self) -> dict[str, Any]:
        """The verdict as a dict for `json.dumps`; without `spans` if not requested."""
        document = asdict(self)
        if self.spans is None:
            del document["spans"]
        return document

    def as_json(self) -> str:
        """The verdict as a JSON text, which `from_json` reads; without `spans` if not requested."""
        return json.dumps(self.as_document())

    @classmethod
    def from_json(cls, document: bytes | str) -> "Verdict":
        """Parse the server's verdict document; raises ServerError if it is invalid.

        Ignores unknown fields, which a newer server may send.
        """
        try:
            verdict = json.loads(document)
            toxicity, spans = verdict["toxicity"], verdict.get("spans")
            return cls(
                flagged=verdict["flagged"],
                refusal=_refusal(verdict["refusal"]),
                categories=_categories(verdict["categories"]),
                toxicity=Toxicity(
                    status=toxicity["status"],
                    label=toxicity["label"],
                    score=toxicity["score"],
                    reason=toxicity["reason"],
                ),
                windows=verdict["windows"],
                truncated=verdict["truncated"],
                spans=None if spans is None else tuple(_span(span) for span in spans),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ServerError(
                f"this client cannot read the server's verdict ({error!r}): check that "
                "client and server have the same version"
            ) from error


def _refusal(document: Mapping[str, Any]) -> Refusal:
    return Refusal(detected=document["detected"], score=document["score"])


def _categories(document: Mapping[str, Any]) -> Categories:
    return Categories(flagged=tuple(document["flagged"]), scores=document["scores"])


def _span(document: Mapping[str, Any]) -> Span:
    return Span(
        start=document["start"],
        end=document["end"],
        refusal=_refusal(document["refusal"]),
        categories=_categories(document["categories"]),
    )
