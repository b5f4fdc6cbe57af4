"""Proposes thresholds, and the band in which `auto` asks the judge, for a wanted recall or precision."""

import json
from dataclasses import dataclass

import numpy as np
from google.protobuf import text_format
from sklearn.metrics import precision_recall_curve
from tritonclient.grpc import model_config_pb2

from tribunal.evaluation.scored import Bools, Floats, Scored
from tribunal.evaluation.target import Target

PARAMETERS = {Target.rejection: "rejection_threshold", Target.toxicity: "toxicity_threshold"}
# Scores are rounded to 6 digits; a band with this end includes the highest possible score.
ABOVE_EVERY_SCORE = 1.000001
# With 30 texts, a recall of 0.95 has an error of 0.08 (two standard errors); with fewer, a larger one.
SMALL_SUPPORT = 30


@dataclass(frozen=True)
class Goal:
    """The recall, or the precision, that each threshold must reach; the other one is None."""

    recall: float | None = None
    precision: float | None = None

    def __str__(self) -> str:
        if self.recall is not None:
            return f"recall of at least {self.recall:g}"
        return f"precision of at least {self.precision:g}"


@dataclass(frozen=True)
class Proposal:
    """A threshold for one label, with its figures on the data.

    support: number of texts with the label. flagged: share of the texts at or above the threshold.
    keep_because: why no threshold is proposed and the present one stays; else None.
    """

    name: str
    support: int
    threshold: float | None = None
    precision: float | None = None
    recall: float | None = None
    flagged: float | None = None
    keep_because: str | None = None


@dataclass(frozen=True)
class Band:
    """`auto` asks if the highest category score is in [low, high).

    wanted_recall: the goal; recall: reached by the categories and the judge together.
    asked: share of the texts that the judge is asked about.
    """

    low: float
    high: float
    wanted_recall: float
    recall: float
    asked: float


@dataclass(frozen=True)
class Recommendation:
    """Thresholds, and for toxicity the band, with the lines for the config of `verdict`.

    uncertain: names of the labels with a proposal from fewer than SMALL_SUPPORT texts.
    """

    goal: str
    proposals: tuple[Proposal, ...]
    band: Band | None
    uncertain: tuple[str, ...]
    config: str

    @property
    def warning(self) -> str | None:
        """A warning of thresholds from too few texts; None if there are none."""
        if not self.uncertain:
            return None
        return (
            f"fewer than {SMALL_SUPPORT} texts have the label {', '.join(self.uncertain)}: on other texts "
            "these thresholds may do much worse"
        )


def recommend(scored: Scored, target: Target, goal: Goal) -> Recommendation:
    """Thresholds for every label of `scored`, and for toxicity the band of `auto`."""
    proposals = tuple(
        propose(name, scored.labels[:, column], scored.scores[:, column], goal)
        for column, name in enumerate(scored.names)
    )
    band = None
    if target is Target.toxicity and proposals[0].threshold is not None:
        band = narrowest_band(
            scored.labels[:, 0],
            highest_category=scored.highest_category,
            category_flagged=scored.category_flagged,
            judge_flags=scored.scores[:, 0] >= proposals[0].threshold,
            recall=goal.recall,
        )
    return Recommendation(
        goal=str(goal),
        proposals=proposals,
        band=band,
        uncertain=tuple(
            proposal.name
            for proposal in proposals
            if proposal.threshold is not None and proposal.support < SMALL_SUPPORT
        ),
        config="\n".join(
            [*_threshold_lines(target, proposals, goal), *(_band_lines(band) if band is not None else [])]
        ),
    )


def propose(name: str, labels: Bools, scores: Floats, goal: Goal) -> Proposal:
    """The highest threshold with the wanted recall, or the lowest with the wanted precision.

    labels BOOL [texts], scores FP64 [texts]. Of all thresholds with the same decisions on these texts, it is
    the one midway between two scores.
    """
    support = int(labels.sum())
    if not support:
        return Proposal(name, support, keep_because="no text has it")
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    if goal.recall is not None:
        # The thresholds ascend, and the recall falls.
        index = int(np.flatnonzero(recall[:-1] >= goal.recall)[-1])
    else:
        reached = np.flatnonzero(precision[:-1] >= goal.precision)
        if not len(reached):
            return Proposal(name, support, keep_because="no threshold has that precision")
        index = int(reached[0])
    chosen = float(thresholds[index])
    below = scores[scores < chosen]
    threshold = _midway(float(below.max()) if len(below) else 0.0, chosen)
    return Proposal(
        name,
        support,
        threshold,
        precision=float(precision[index]),
        recall=float(recall[index]),
        flagged=float((scores >= threshold).mean()),
    )


def narrowest_band(
    labels: Bools,
    *,
    highest_category: Floats,
    category_flagged: Bools,
    judge_flags: Bools,
    recall: float | None,
) -> Band:
    """The band that asks about the fewest texts and keeps the recall; all arguments but it [texts].

    A text is flagged by its categories, or by the judge where the band has it asked. recall: None for
    all that asking always would reach; more than that cannot be reached, and is then the aim.
    """
    positives = int(labels.sum())
    by_category = int((labels & category_flagged).sum())
    gained = labels & judge_flags & ~category_flagged
    best = by_category + int(gained.sum())
    needed = best if recall is None else min(best, _least_count(recall, positives))
    # Texts with the same score are either all in the band, or all outside.
    values, value_of_text = np.unique(highest_category, return_inverse=True)
    texts = np.concatenate([[0], np.cumsum(np.bincount(value_of_text, minlength=len(values)))])
    gains_of_values = np.bincount(value_of_text, weights=gained, minlength=len(values))
    gains = np.concatenate([[0], np.cumsum(gains_of_values)])
    first = last = 0
    if by_category < needed:
        # For each end, the latest start that keeps the recall; of these, the band with the fewest texts.
        ends = np.arange(1, len(values) + 1)
        starts = np.searchsorted(gains, gains[ends] - (needed - by_category), side="right") - 1
        asked = np.where(starts >= 0, texts[ends] - texts[np.maximum(starts, 0)], len(labels) + 1)
        last = int(ends[asked.argmin()])
        first = int(starts[asked.argmin()])
    edges = np.concatenate(
        [[0.0], (values[:-1] + values[1:]) / 2, [1.0 if values[-1] < 1 else ABOVE_EVERY_SCORE]]
    )
    flagged_positives = by_category + int(gains[last] - gains[first])
    return Band(
        low=_rounded(edges[first]),
        high=_rounded(edges[last]),
        wanted_recall=needed / positives if recall is None else recall,
        recall=flagged_positives / positives,
        asked=float(texts[last] - texts[first]) / len(labels),
    )


def _least_count(recall: float, positives: int) -> int:
    """The smallest count whose quotient by `positives` is at least `recall`, in floating point."""
    counts = np.arange(positives + 1)
    return int(np.flatnonzero(counts / positives >= recall)[0])


def _midway(below: float, above: float) -> float:
    return _rounded((below + above) / 2)


def _rounded(value: float) -> float:
    """`value` rounded to 7 digits, which is exact midway between two scores of 6 digits."""
    return round(float(value), 7)


def _threshold_lines(target: Target, proposals: tuple[Proposal, ...], goal: Goal) -> list[str]:
    lines = [f"# model_repository/verdict/config.pbtxt: {goal}"]
    thresholds = {
        proposal.name: proposal.threshold for proposal in proposals if proposal.threshold is not None
    }
    for proposal in proposals:
        if proposal.threshold is None:
            lines.append(f"# {proposal.name}: {proposal.keep_because}, keep its threshold")
    if target is Target.aegis:
        lines.append(_parameter("category_thresholds", json.dumps(thresholds)))
    elif thresholds:
        lines.append(_parameter(PARAMETERS[target], _decimal(*thresholds.values())))
    return lines


def _band_lines(band: Band) -> list[str]:
    comment = f"auto asks about {band.asked:.1%} of the texts, recall {band.recall:.4g}"
    if band.recall < band.wanted_recall:
        comment += f", the maximum (wanted: {band.wanted_recall:g})"
    return [
        f"# {comment}",
        _parameter("auto_low", _decimal(band.low)),
        _parameter("auto_high", _decimal(band.high)),
    ]


def _decimal(value: float) -> str:
    return np.format_float_positional(value, trim="-")


def _parameter(name: str, value: str) -> str:
    """One parameter as protobuf text."""
    config = model_config_pb2.ModelConfig()
    config.parameters[name].string_value = value
    return text_format.MessageToString(config, as_one_line=True).strip()
