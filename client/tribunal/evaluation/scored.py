"""Labels, scores and decisions as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tribunal.evaluation.labelled_data import LabelledTexts
from tribunal.evaluation.target import Target
from tribunal.verdict import Verdict

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
# A text that the judge was asked about and gave no answer to counts as toxic: the default policy of
# the server fails closed, and so does an evaluation.
FAIL_CLOSED_SCORE = 1.0


@dataclass(frozen=True)
class Scored:
    """Labels, scores and decisions of each text that the server answered.

    rows: INT [texts], numbers of the rows in the data, counted from 1.
    names: of the columns.
    labels: BOOL [texts, names], the true labels.
    scores: FP64 [texts, names], in [0, 1]; 1 if the judge gave no answer.
    decided: BOOL [texts, names], the decisions at the server's own thresholds; for toxicity the judge's
    label, and True if it gave none.
    answered: BOOL [texts], False if the judge was unavailable, or its answer had no label.
    highest_category: FP64 [texts], the highest category score, which the band of `auto` uses.
    category_flagged: BOOL [texts], whether any category is at or above its threshold.
    """

    rows: npt.NDArray[np.int64]
    names: tuple[str, ...]
    labels: Bools
    scores: Floats
    decided: Bools
    answered: Bools
    highest_category: Floats
    category_flagged: Bools

    def where(self, kept: Bools) -> "Scored":
        """Only the texts for which `kept` BOOL [texts] holds."""
        return Scored(
            self.rows[kept],
            self.names,
            self.labels[kept],
            self.scores[kept],
            self.decided[kept],
            self.answered[kept],
            self.highest_category[kept],
            self.category_flagged[kept],
        )


def score(data: LabelledTexts, verdicts: Sequence[Verdict | None], target: Target) -> Scored:
    """Labels and verdicts as arrays, without the texts that the server refused (None)."""
    kept = [index for index, verdict in enumerate(verdicts) if verdict is not None]
    given = [verdict for verdict in verdicts if verdict is not None]
    decisions = [_decisions(verdict, data.names, target) for verdict in given]
    return Scored(
        rows=np.array(kept, dtype=np.int64) + 1,
        names=data.names,
        labels=data.labels[kept],
        scores=np.array([scores for scores, _ in decisions], dtype=np.float64),
        decided=np.array([decided for _, decided in decisions], dtype=np.bool_),
        answered=np.array([_is_answered(verdict, target) for verdict in given]),
        highest_category=np.array([max(verdict.categories.scores.values()) for verdict in given]),
        category_flagged=np.array([bool(verdict.categories.flagged) for verdict in given]),
    )


def _decisions(
    verdict: Verdict, names: Sequence[str], target: Target
) -> tuple[Sequence[float], Sequence[bool]]:
    """The scores of `names` in one verdict, and the server's decisions on them."""
    if target is Target.rejection:
        return [verdict.refusal.score], [verdict.refusal.detected]
    if target is Target.aegis:
        categories = verdict.categories
        return [categories.scores[name] for name in names], [name in categories.flagged for name in names]
    toxicity = verdict.toxicity
    score = FAIL_CLOSED_SCORE if toxicity.score is None else toxicity.score
    return [score], [toxicity.label != "non-toxic"]


def _is_answered(verdict: Verdict, target: Target) -> bool:
    """Whether the judge answered, if the target asks it."""
    return target is not Target.toxicity or verdict.toxicity.score is not None
