"""The counts of a scan."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

OneVerdict: TypeAlias = Mapping[str, Any] | None
# Errors that differ only in numbers have one reason; above this limit, others are counted together.
MAX_REASONS = 50
OTHER_REASONS = "other reasons"
SHOWN_REASONS = 5
NUMBER = re.compile(r"\d+")


@dataclass
class Summary:
    """Counts over all records of the output.

    texts: of the records, each its only one, or the items of its list. The other counts are of texts.
    failed: without a verdict. flagged, refusals, truncated: by their verdict. categories: flagged for each
    category. judge: by the judge's status, and if it answered by its label. reasons: failed by the first
    error of each kind.
    """

    records: int = 0
    texts: int = 0
    failed: int = 0
    flagged: int = 0
    refusals: int = 0
    truncated: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    judge: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._reason_of = {NUMBER.sub("0", reason): reason for reason in self.reasons}

    def add(
        self, verdict: OneVerdict | Sequence[OneVerdict], error: str | Sequence[str | None] | None
    ) -> None:
        """Count one record, which has a verdict or an error, or lists of them for the items of its list."""
        self.records += 1
        if isinstance(verdict, Mapping | None) and isinstance(error, str | None):
            self._add_text(verdict, error)
            return
        verdicts: Sequence[OneVerdict] = verdict if isinstance(verdict, list) else [None]
        errors: Sequence[str | None] = error if isinstance(error, list) else [None] * len(verdicts)
        for of_item, error_of_item in zip(verdicts, errors, strict=True):
            self._add_text(of_item, error_of_item)

    def _add_text(self, verdict: OneVerdict, error: str | None) -> None:
        self.texts += 1
        if verdict is None:
            self.failed += 1
            self.reasons[self._reason(error or "")] += 1
            return
        self.flagged += verdict["flagged"]
        self.refusals += verdict["refusal"]["detected"]
        self.truncated += verdict["truncated"]
        self.categories.update(verdict["categories"]["flagged"])
        self.judge[verdict["toxicity"]["label"] or verdict["toxicity"]["status"]] += 1

    def to_dict(self) -> dict[str, Any]:
        """The counts as a JSON object."""
        counts = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in counts.items()}

    @classmethod
    def from_dict(cls, counts: Mapping[str, Any]) -> "Summary":
        """Read the result of `to_dict`, also of an earlier version, which had one text in each record."""
        counts = {"texts": counts.get("records", 0), **counts}
        counted: dict[str, Any] = {
            name: Counter(value) if isinstance(value, dict) else value for name, value in counts.items()
        }
        return cls(**counted)

    def rows(self) -> list[tuple[str, int]]:
        """Names and counts to show."""
        verdicts = self.texts - self.failed
        reasons = self.reasons.most_common(SHOWN_REASONS)
        unshown = self.failed - sum(count for _, count in reasons)
        return [
            ("records", self.records),
            *([("texts", self.texts)] if self.texts != self.records else []),
            ("flagged", self.flagged),
            *((f"  {name}", count) for name, count in self.categories.most_common()),
            ("not flagged", verdicts - self.flagged),
            ("refusals", self.refusals),
            *((f"judge: {name}", count) for name, count in self.judge.most_common()),
            *([("end not read", self.truncated)] if self.truncated else []),
            ("failed", self.failed),
            *((f"  {reason}", count) for reason, count in reasons),
            *([(f"  {OTHER_REASONS}", unshown)] if unshown else []),
        ]

    def _reason(self, error: str) -> str:
        """The first error that differs from `error` only in numbers."""
        pattern = NUMBER.sub("0", error)
        if pattern not in self._reason_of and len(self._reason_of) == MAX_REASONS:
            return OTHER_REASONS
        return self._reason_of.setdefault(pattern, error)
