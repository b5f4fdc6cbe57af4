"""A verdict under a policy: is the text flagged, and for what?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tribunal.gateway.moderation.policies import Policy, ServerPolicy
from tribunal.verdict import Categories, Refusal, Span, Verdict


@dataclass(frozen=True)
class Decision:
    """A policy's decision on a verdict.

    flagged: whether one of the reasons below applies.
    categories: names of the detected categories, in the order of the scores.
    toxic: the judge's score is at or above the threshold. refusal: the text is a refusal, and the policy
    flags refusals. judge_failed: the judge gave no answer. unread: no model read the text's end.
    spans: the sentences that cross a threshold of the policy, and what it detects in each; None if not
    requested.
    """

    verdict: Verdict
    flagged: bool
    categories: tuple[str, ...]
    toxic: bool
    refusal: bool
    judge_failed: bool
    unread: bool
    spans: tuple[Span, ...] | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is flagged: categories, then `toxicity`, `refusal`, `judge_failure`, `truncation`."""
        others = {
            "toxicity": self.toxic,
            "refusal": self.refusal,
            "judge_failure": self.judge_failed,
            "truncation": self.unread,
        }
        return (*self.categories, *(name for name, holds in others.items() if holds))

    def as_document(self) -> dict[str, Any]:
        """The verdict with the policy's decision, by `verdict.schema.json`."""
        categories = replace(self.verdict.categories, flagged=self.categories)
        decided = replace(self.verdict, flagged=self.flagged, categories=categories, spans=self.spans)
        return decided.as_document()


def decide(policy: Policy, verdict: Verdict) -> Decision:
    """Apply `policy` to `verdict`."""
    toxicity, refusal = verdict.toxicity, verdict.refusal
    failed = toxicity.status in ("unavailable", "unparsed")
    unread = verdict.truncated and toxicity.score is None
    if isinstance(policy, ServerPolicy):
        flagged = verdict.flagged
        return Decision(
            verdict,
            flagged=flagged,
            categories=verdict.categories.flagged,
            toxic=flagged and toxicity.label == "toxic",
            refusal=False,
            judge_failed=flagged and failed,
            unread=flagged and unread,
            spans=verdict.spans,
        )
    categories = _categories(policy, verdict.categories)
    toxic = toxicity.score is not None and toxicity.score >= policy.toxicity_threshold
    refused = policy.refusal == "flag" and is_refusal(policy, refusal)
    judge_failed = policy.judge_failure == "flag" and failed
    unread = policy.truncation == "flag" and unread
    flagged = bool(categories) or toxic or refused or judge_failed or unread
    spans = None if verdict.spans is None else _spans(policy, verdict.spans)
    return Decision(verdict, flagged, categories, toxic, refused, judge_failed, unread, spans)


def is_refusal(policy: Policy, refusal: Refusal) -> bool:
    """Whether the text is an LLM's refusal, by the threshold of `policy`."""
    return refusal.detected if isinstance(policy, ServerPolicy) else refusal.score >= policy.refusal_threshold


def _spans(policy: Policy, spans: Sequence[Span]) -> tuple[Span, ...]:
    """The `spans` in which `policy` detects something, with what it detects."""
    decided = [
        replace(
            span,
            refusal=replace(span.refusal, detected=is_refusal(policy, span.refusal)),
            categories=replace(span.categories, flagged=_categories(policy, span.categories)),
        )
        for span in spans
    ]
    return tuple(span for span in decided if span.refusal.detected or span.categories.flagged)


def _categories(policy: Policy, categories: Categories) -> tuple[str, ...]:
    thresholds = {str(name): threshold for name, threshold in policy.category_thresholds.items()}
    default = policy.category_threshold

    def detected(name: str, score: float) -> bool:
        threshold = thresholds.get(name, default)
        return name in categories.flagged if threshold is None else score >= threshold

    return tuple(name for name, score in categories.scores.items() if detected(name, score))
