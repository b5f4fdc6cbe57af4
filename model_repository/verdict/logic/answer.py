"""Reads the judge's answer: its label, its reason, and how sure it was."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

LABELS = ("toxic", "non-toxic")
# The possible outcomes of asking the judge.
AskedStatus = Literal["answered", "unavailable", "unparsed"]
ASKED_STATUSES: tuple[AskedStatus, ...] = get_args(AskedStatus)
Status = Literal[AskedStatus, "skipped"]
STATUSES: tuple[Status, ...] = (*ASKED_STATUSES, "skipped")
# Markdown, quotes, brackets, list marks and "Classification:" may precede the label.
LABEL = re.compile(
    r"[\W_]*(?:(?:classification|label|answer)[\W_]*)?(?P<label>non[\s\-\u2010-\u2015_]*toxic|toxic)(?![^\W_])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Judgement:
    """The judge's part of a verdict.

    label, reason: None if there is none.
    score: P(toxic), NaN if there is none.
    """

    status: Status
    label: str | None = None
    score: float = math.nan
    reason: str | None = None


SKIPPED = Judgement("skipped")
UNAVAILABLE = Judgement("unavailable")


def read_answer(text: str, logprobs: str, *, explain: bool) -> Judgement:
    """Judgement in an answer that starts with a label and has a score; otherwise `unparsed`.

    logprobs: JSON of the vLLM backend, a list by position of {token id: {logprob, decoded_token}}, or
    `null` if there are none.
    """
    match = LABEL.match(text)
    if match is None:
        return Judgement("unparsed")
    score = toxicity_score(json.loads(logprobs) or [])
    if math.isnan(score):
        return Judgement("unparsed")
    label = "non-toxic" if match["label"].lower().startswith("non") else "toxic"
    reason = text[match.end() :].lstrip(" \t\r\n*_\"'`.:;,-)]}") or None
    return Judgement("answered", label, score, reason if explain else None)


def toxicity_score(positions: list[dict[str, dict[str, Any]]]) -> float:
    """P(toxic) / (P(toxic) + P(non-toxic)) at the first generated token that has a letter.

    A token counts for the label that starts with its letters. NaN if none counts for either.
    """
    for candidates in positions:
        chosen = min(candidates.values(), key=lambda candidate: candidate["rank"])
        if not any(character.isalpha() for character in chosen["decoded_token"]):
            continue
        mass = dict.fromkeys(LABELS, 0.0)
        for candidate in candidates.values():
            start = re.sub(r"^[\W_]+", "", candidate["decoded_token"]).lower()
            for label in LABELS:
                if start and (label.startswith(start) or start.startswith(label)):
                    mass[label] += math.exp(candidate["logprob"])
        total = sum(mass.values())
        return mass["toxic"] / total if total else math.nan
    return math.nan


def worst(judgements: list[Judgement]) -> Judgement:
    """The judgement that decides for all pieces of a text.

    It is a toxic piece if there is one, otherwise a piece without an answer, otherwise the highest score.
    """
    failed = [judgement for judgement in judgements if judgement.status != "answered"]
    toxic = [judgement for judgement in judgements if judgement.label == "toxic"]
    if failed and not toxic:
        return failed[0]
    return max(toxic or judgements, key=lambda judgement: judgement.score)
