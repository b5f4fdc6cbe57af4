"""Chooses the texts that a server must answer at its start, with PyTorch's scores, for the manifest."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from export_scripts.encoders import Precision
from export_scripts.hub_models import HubModel
from export_scripts.parity import DECISION_THRESHOLD, MAX_SCORE_DIFFERENCE, TextComparison

TEXTS = 16
# Longer texts would delay every start on a CPU.
MAX_TOKENS = 128
# For int8 and fp16, the tolerance is FACTOR times the difference that the export measured, and MARGIN. A
# processor that rounds otherwise moves some values to the next step of int8. Weights changed by a millionth
# shifted int8 scores of full-size encoders by up to 0.037, as much as int8 itself.
FACTOR, MARGIN = 2, 0.01
SCORE_DIGITS = 7


def self_check_entry(
    encoder: HubModel, precision: Precision, comparisons: Sequence[TextComparison]
) -> dict[str, Any]:
    """The manifest's entry `self_check` of `encoder`, from `comparisons` of its graph with PyTorch.

    `activation`; `tolerance`, the largest difference of a score; and `texts`, each with its `input_ids` and
    PyTorch's `scores` in fp32 by the name of the label.
    """
    chosen = choose(comparisons)
    return {
        "activation": "sigmoid" if encoder.multi_label else "softmax",
        "tolerance": tolerance(precision, chosen),
        "texts": [
            {
                "input_ids": list(text.input_ids),
                "scores": {
                    label: round(float(score), SCORE_DIGITS)
                    for label, score in zip(encoder.labels, text.reference, strict=True)
                },
            }
            for text in chosen
        ],
    }


def choose(comparisons: Sequence[TextComparison]) -> list[TextComparison]:
    """At most TEXTS texts of at most MAX_TOKENS tokens.

    The shortest and the longest; for each label the text that has its highest score, so that exchanged labels
    show; then those with a score nearest to 0.5, which moves most when a logit does.
    """
    short = [text for text in comparisons if len(text.input_ids) <= MAX_TOKENS]
    short.sort(key=lambda text: len(text.input_ids))
    if len(short) <= TEXTS:
        return short
    scores = np.array([text.reference for text in short])
    nearest = np.argsort(np.abs(scores - DECISION_THRESHOLD).min(axis=1), kind="stable")
    ranked = [0, len(short) - 1, *scores.argmax(axis=0).tolist(), *nearest.tolist()]
    return [short[index] for index in sorted(list(dict.fromkeys(ranked))[:TEXTS])]


def tolerance(precision: Precision, texts: Sequence[TextComparison]) -> float:
    """The largest difference from PyTorch that a server may show on `texts`.

    The limit of the export for fp32; otherwise it follows from what the export measured on these texts.
    """
    if precision == "fp32":
        return MAX_SCORE_DIFFERENCE
    return round(FACTOR * max(text.score_difference for text in texts) + MARGIN, 4)
