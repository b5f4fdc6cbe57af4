"""Figures of an evaluation, compared with figures computed by hand."""

import dataclasses

import numpy as np
import pytest
from tribunal.evaluation.measures import SWEEP_THRESHOLDS, Measures, measure
from tribunal.evaluation.scored import Scored

LABELS = [True, True, True, False, False, False, False, False]
SCORES = [0.9, 0.6, 0.2, 0.8, 0.4, 0.3, 0.1, 0.0]


def scored(labels: list[list[bool]], scores: list[list[float]], threshold: float = 0.5) -> Scored:
    texts = len(labels)
    values = np.array(scores, dtype=np.float64)
    return Scored(
        rows=np.arange(1, texts + 1),
        names=tuple(f"label {column}" for column in range(values.shape[1])),
        labels=np.array(labels, dtype=np.bool_),
        scores=values,
        decided=values >= threshold,
        answered=np.ones(texts, dtype=np.bool_),
        highest_category=values.max(axis=1),
        category_flagged=(values >= threshold).any(axis=1),
    )


@pytest.fixture
def binary() -> Measures:
    return measure(scored([[label] for label in LABELS], [[score] for score in SCORES]), "other")


def test_the_figures_of_a_yes_or_no_question(binary: Measures) -> None:
    yes, no = binary.labels
    counts = (yes.true_positives, yes.true_negatives, yes.false_positives, yes.false_negatives)
    assert counts == (2, 4, 1, 1)
    assert yes.accuracy == 6 / 8
    assert yes.precision == yes.recall == yes.f1 == pytest.approx(2 / 3)
    # 5 + 4 + 2 of the 15 pairs of a positive and a negative are in order.
    assert yes.roc_auc == pytest.approx(11 / 15)
    # The positives have the ranks 1, 3 and 6.
    assert yes.average_precision == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 3)
    squares = [(score - label) ** 2 for score, label in zip(SCORES, LABELS, strict=True)]
    assert yes.brier == pytest.approx(sum(squares) / 8)
    assert (no.name, no.support, no.true_positives, no.false_positives) == ("other", 5, 4, 1)
    assert no.precision == no.recall == 4 / 5
    assert no.roc_auc == pytest.approx(yes.roc_auc)
    assert binary.macro.recall == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert binary.exact_match == 6 / 8
    assert binary.harmless_flagged == 1 / 5


def test_the_curves(binary: Measures) -> None:
    (curves,) = binary.curves.values()
    assert [point.threshold for point in curves.sweep] == list(SWEEP_THRESHOLDS)
    at_half = next(point for point in curves.sweep if point.threshold == 0.5)
    assert (at_half.precision, at_half.recall, at_half.flagged) == (2 / 3, 2 / 3, 3 / 8)
    highest = curves.sweep[-1]
    assert (highest.precision, highest.recall, highest.flagged) == (None, 0, 0)
    assert (2 / 3, 2 / 3) in curves.precision_recall
    assert (1 / 5, 2 / 3) in curves.roc
    # The bin from 0.2 to 0.3 has one positive, and the bin from 0.3 to 0.4 one negative.
    assert (0.2, 1.0) in curves.calibration
    assert (0.3, 0.0) in curves.calibration


def test_the_figures_of_many_labels() -> None:
    measures = measure(
        scored(
            [[True, False, False], [True, True, False], [False, False, False]],
            [[0.9, 0.7, 0.1], [0.4, 0.8, 0.1], [0.6, 0.1, 0.1]],
        )
    )
    first, second, absent = measures.labels
    assert (first.precision, first.recall, first.f1) == (0.5, 0.5, 0.5)
    assert (second.precision, second.recall) == (0.5, 1.0)
    micro = measures.micro
    counts = (micro.true_positives, micro.true_negatives, micro.false_positives, micro.false_negatives)
    assert counts == (2, 4, 2, 1)
    assert micro.accuracy == 6 / 9
    assert micro.precision == 0.5
    assert micro.recall == pytest.approx(2 / 3)
    # A figure that the data leave undefined is not 0, and means exclude it.
    assert (absent.precision, absent.recall, absent.f1, absent.roc_auc) == (None, None, None, None)
    assert measures.macro.precision == 0.5
    assert measures.macro.recall == 0.75
    assert measures.exact_match == 0
    assert measures.harmless_flagged == 1
    assert set(measures.curves) == {*(label.name for label in measures.labels), "micro"}


def test_data_of_one_class_have_no_ranking() -> None:
    for label in (True, False):
        (yes, _) = measure(scored([[label]] * 3, [[0.9], [0.1], [0.6]]), "other").labels
        assert yes.roc_auc is None
        assert yes.accuracy == pytest.approx(2 / 3 if label else 1 / 3)


def test_the_answered_texts_alone() -> None:
    everything = scored([[True], [False], [True]], [[1.0], [1.0], [0.2]])
    everything = dataclasses.replace(everything, answered=np.array([False, False, True]))
    assert measure(everything, "other").labels[0].recall == 0.5
    alone = measure(everything.where(everything.answered), "other")
    assert (alone.texts, alone.labels[0].recall) == (1, 0)
