"""What a scan found, counted as it goes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Summary:
    """Counts over all records of the output.

    failed: records without a verdict. flagged, refusals, truncated: records whose verdict says so.
    categories: records that touch each category. judge: records by the judge's status, and where it
    answered by its label.
    """

    records: int = 0
    failed: int = 0
    flagged: int = 0
    refusals: int = 0
    truncated: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    judge: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Mapping[str, Any] | None) -> None:
        """Count one record; None for one that failed."""
        self.records += 1
        if verdict is None:
            self.failed += 1
            return
        self.flagged += verdict["flagged"]
        self.refusals += verdict["refusal"]["detected"]
        self.truncated += verdict["truncated"]
        self.categories.update(verdict["categories"]["flagged"])
        self.judge[verdict["toxicity"]["label"] or verdict["toxicity"]["status"]] += 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**vars(self), "categories": dict(self.categories), "judge": dict(self.judge)}

    @classmethod
    def from_dict(cls, counts: Mapping[str, Any]) -> "Summary":
        """What `to_dict` gave."""
        return cls(
            **{**counts, "categories": Counter(counts["categories"]), "judge": Counter(counts["judge"])}
        )

    def rows(self) -> list[tuple[str, int]]:
        """What to show: name and count."""
        verdicts = self.records - self.failed
        return [
            ("records", self.records),
            ("flagged", self.flagged),
            *((f"  {name}", count) for name, count in self.categories.most_common()),
            ("not flagged", verdicts - self.flagged),
            ("refusals", self.refusals),
            *((f"judge: {name}", count) for name, count in self.judge.most_common()),
            *([("end not read", self.truncated)] if self.truncated else []),
            ("failed", self.failed),
        ]
