"""Applies thresholds to scores and builds the verdict document."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answer import Judgement

FLAG_OR_PASS = ("flag", "pass")


@dataclass(frozen=True)
class Policy:
    """Thresholds in [0, 1]; a score at or above its threshold counts as detected.

    labels: category names in the order of the scores.
    category_thresholds: one for each label, in the same order.
    flags_judge_failure: whether to flag a text if the judge was asked and gave no answer.
    flags_truncation: whether to flag a truncated text if the judge gave no answer.
    """

    labels: tuple[str, ...]
    rejection_threshold: float
    category_thresholds: tuple[float, ...]
    toxicity_threshold: float
    flags_judge_failure: bool
    flags_truncation: bool

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str], labels: Sequence[str]) -> "Policy":
        """Read the parameters of `verdict`'s config.

        Raises ValueError for a threshold outside [0, 1], overrides that are not a JSON object of numbers, an
        override of an unknown category, or an unknown `judge_failure` or `truncation`.
        """
        overrides = json.loads(parameters["category_thresholds"])
        if not isinstance(overrides, dict):
            raise ValueError(f"category_thresholds must be a JSON object, not {overrides!r}")
        unknown = sorted(set(overrides) - set(labels))
        if unknown:
            raise ValueError(f"category_thresholds names unknown categories {unknown}; known: {list(labels)}")
        default = parameters["category_threshold"]
        return cls(
            labels=tuple(labels),
            rejection_threshold=_threshold("rejection_threshold", parameters["rejection_threshold"]),
            category_thresholds=tuple(
                _threshold(f"the threshold of {label}", overrides.get(label, default)) for label in labels
            ),
            toxicity_threshold=_threshold("toxicity_threshold", parameters["toxicity_threshold"]),
            flags_judge_failure=_flags("judge_failure", parameters),
            flags_truncation=_flags("truncation", parameters),
        )

    def require_categories(self, count: int) -> None:
        """Raise ValueError unless there is a label for each of `count` categories."""
        if count != len(self.labels):
            raise ValueError(f"labels.txt has {len(self.labels)} labels, and aegis gives {count} logits")

    def decide(
        self,
        rejection_score: float,
        category_scores: Sequence[float],
        judgement: Judgement,
        windows: int,
        *,
        truncated: bool,
    ) -> dict[str, Any]:
        """Verdict document of one text without its spans; its schema is `verdict.schema.json`.

        A refusal does not flag the text, because it is not harmful.
        """
        encoders = self.decide_encoders(rejection_score, category_scores)
        return {
            "flagged": bool(encoders["categories"]["flagged"]) or self._flags(judgement, truncated=truncated),
            **encoders,
            "toxicity": {
                "status": judgement.status,
                "label": judgement.label,
                "score": None if math.isnan(judgement.score) else round(judgement.score, 6),
                "reason": judgement.reason,
            },
            "windows": windows,
            "truncated": truncated,
        }

    def decide_encoders(self, rejection_score: float, category_scores: Sequence[float]) -> dict[str, Any]:
        """The fields `refusal` and `categories` of a text or of one of its spans."""
        flagged = [
            label
            for label, score, threshold in zip(
                self.labels, category_scores, self.category_thresholds, strict=True
            )
            if score >= threshold
        ]
        return {
            "refusal": {
                "detected": rejection_score >= self.rejection_threshold,
                "score": round(rejection_score, 6),
            },
            "categories": {
                "flagged": flagged,
                "scores": {
                    label: round(score, 6) for label, score in zip(self.labels, category_scores, strict=True)
                },
            },
        }

    def _flags(self, judgement: Judgement, *, truncated: bool) -> bool:
        if judgement.status == "answered":
            return judgement.score >= self.toxicity_threshold
        failed = judgement.status != "skipped"
        return (failed and self.flags_judge_failure) or (truncated and self.flags_truncation)


def _flags(name: str, parameters: Mapping[str, str]) -> bool:
    value = parameters[name]
    if value not in FLAG_OR_PASS:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(FLAG_OR_PASS)}")
    return value == "flag"


def _threshold(name: str, value: Any) -> float:
    threshold = float(value)
    if not 0 <= threshold <= 1:
        raise ValueError(f"{name} is {value}; it must be between 0 and 1")
    return threshold
