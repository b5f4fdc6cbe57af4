"""How well decisions and scores agree with the labels, by scikit-learn.

An undefined figure is None, never 0: for example the precision of a category that was never flagged, or the
ROC-AUC of a category that no text has.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from tribunal.evaluation.scored import Bools, Floats, Scored

SWEEP_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
CALIBRATION_BINS = 10
MAX_CURVE_POINTS = 400


@dataclass(frozen=True)
class Figures:
    """Figures of one label, or of several together; all but the counts in [0, 1].

    support: number of texts (or pairs of text and label) with the label.
    accuracy: share of right decisions.
    roc_auc, average_precision, brier: of the scores, whatever the threshold.
    """

    name: str
    support: int
    true_positives: int
    true_negatives: int
    false_positives: int
    false_negatives: int
    accuracy: float
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None
    average_precision: float | None
    brier: float


@dataclass(frozen=True)
class Macro:
    """Unweighted means over those labels for which the figure is defined."""

    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None
    average_precision: float | None


@dataclass(frozen=True)
class Threshold:
    """Figures at one threshold; flagged is a share of the decisions."""

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    flagged: float


@dataclass(frozen=True)
class Curves:
    """Points of the curves of one label, or of all pairs of text and label together.

    precision_recall: (recall, precision); roc: (false positive rate, recall), both thinned to at most
    400 points. calibration: (mean score, share that is true) of ten bins of equal width.
    """

    precision_recall: tuple[tuple[float, float], ...]
    roc: tuple[tuple[float, float], ...]
    calibration: tuple[tuple[float, float], ...]
    sweep: tuple[Threshold, ...]


@dataclass(frozen=True)
class Measures:
    """All figures on one set of texts.

    labels: figures of each label; for a yes-or-no question both answers, the positive first.
    micro: every pair of a text and a label counts once.
    exact_match: share of the texts of which every decision is right.
    harmless_flagged: share of the texts without labels for which a label is predicted.
    """

    texts: int
    labels: tuple[Figures, ...]
    micro: Figures
    macro: Macro
    exact_match: float
    harmless_flagged: float | None
    curves: dict[str, Curves]


def measure(scored: Scored, negative_name: str | None = None) -> Measures:
    """Figures of `scored`, which has at least one text.

    negative_name: name of the negative answer to a yes-or-no question; None for many labels.
    """
    columns = {
        name: (scored.labels[:, column], scored.decided[:, column], scored.scores[:, column])
        for column, name in enumerate(scored.names)
    }
    if negative_name is not None:
        ((labels, decided, scores),) = columns.values()
        answers = {**columns, negative_name: (~labels, ~decided, 1 - scores)}
    else:
        answers = columns
    pairs = (scored.labels.ravel(), scored.decided.ravel(), scored.scores.ravel())
    figures = tuple(_figures(name, *column) for name, column in answers.items())
    harmless = ~scored.labels.any(axis=1)
    curves = {name: _curves(labels, scores) for name, (labels, _, scores) in columns.items()}
    if len(columns) > 1:
        curves["micro"] = _curves(pairs[0], pairs[2])
    return Measures(
        texts=len(scored.rows),
        labels=figures,
        micro=_figures("micro", *pairs),
        macro=Macro(
            *(
                _mean([getattr(label, name) for label in figures])
                for name in ("precision", "recall", "f1", "roc_auc", "average_precision")
            )
        ),
        exact_match=float(accuracy_score(scored.labels, scored.decided)),
        harmless_flagged=float(scored.decided[harmless].any(axis=1).mean()) if harmless.any() else None,
        curves=curves,
    )


def _figures(name: str, labels: Bools, decided: Bools, scores: Floats) -> Figures:
    (tn, fp), (fn, tp) = confusion_matrix(labels, decided, labels=[False, True])
    has_both = 0 < labels.sum() < len(labels)
    return Figures(
        name=name,
        support=int(labels.sum()),
        true_positives=int(tp),
        true_negatives=int(tn),
        false_positives=int(fp),
        false_negatives=int(fn),
        accuracy=float(accuracy_score(labels, decided)),
        precision=_defined(precision_score(labels, decided, zero_division=np.nan)),
        recall=_defined(recall_score(labels, decided, zero_division=np.nan)),
        f1=_defined(f1_score(labels, decided, zero_division=np.nan)),
        roc_auc=float(roc_auc_score(labels, scores)) if has_both else None,
        average_precision=float(average_precision_score(labels, scores)) if labels.any() else None,
        brier=float(brier_score_loss(labels, scores, pos_label=True)),
    )


def _curves(labels: Bools, scores: Floats) -> Curves:
    has_both = 0 < labels.sum() < len(labels)
    precision_recall: tuple[tuple[float, float], ...] = ()
    roc: tuple[tuple[float, float], ...] = ()
    if has_both:
        precision, recall, _ = precision_recall_curve(labels, scores)
        precision_recall = _points(recall, precision)
        false_positive_rate, true_positive_rate, _ = roc_curve(labels, scores)
        roc = _points(false_positive_rate, true_positive_rate)
    true_share, mean_score = calibration_curve(labels, scores, n_bins=CALIBRATION_BINS)
    return Curves(
        precision_recall=precision_recall,
        roc=roc,
        calibration=_points(mean_score, true_share),
        sweep=tuple(_at(threshold, labels, scores) for threshold in SWEEP_THRESHOLDS),
    )


def _at(threshold: float, labels: Bools, scores: Floats) -> Threshold:
    decided = scores >= threshold
    return Threshold(
        threshold=threshold,
        precision=_defined(precision_score(labels, decided, zero_division=np.nan)),
        recall=_defined(recall_score(labels, decided, zero_division=np.nan)),
        f1=_defined(f1_score(labels, decided, zero_division=np.nan)),
        flagged=float(decided.mean()),
    )


def _points(first: Floats, second: Floats) -> tuple[tuple[float, float], ...]:
    kept = np.unique(np.linspace(0, len(first) - 1, min(len(first), MAX_CURVE_POINTS)).astype(int))
    return tuple(zip(first[kept].tolist(), second[kept].tolist(), strict=True))


def _defined(figure: float) -> float | None:
    return None if np.isnan(figure) else float(figure)


def _mean(figures: list[float | None]) -> float | None:
    defined = [figure for figure in figures if figure is not None]
    return float(np.mean(defined)) if defined else None
