"""Chooses the texts that a server must answer at its start, and writes PyTorch's scores of them for the manifest."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from export_scripts.encoders import Precision
from export_scripts.hub_models import HubModel
from export_scripts.parity import MAX_SCORE_DIFFERENCE, TextComparison

TEXTS = 16
# Longer texts would delay every start on a CPU.
MAX_TOKENS = 128
# Added to what was measured of int8 and fp16: a processor that rounds otherwise shifts their scores a little.
MARGIN = 0.01
SCORE_DIGITS = 7


def self_check_entry(
    encoder: HubModel, precision: Precision, comparisons: Sequence[TextComparison]
) -> dict[str, Any]:
    """The manifest's entry `self_check` of `encoder`, from the comparisons of its exported graph with PyTorch.

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

    For each label the text that has its highest score, so that exchanged labels show; the others have all
    lengths, the shortest and the longest among them.
    """
    short = sorted(
        (text for text in comparisons if len(text.input_ids) <= MAX_TOKENS), key=lambda text: len(text.input_ids)
    )
    if len(short) <= TEXTS:
        return short
    highest = np.argmax([text.reference for text in short], axis=0)
    chosen = list(dict.fromkeys([0, len(short) - 1, *(int(index) for index in highest)]))[:TEXTS]
    rest = [index for index in range(len(short)) if index not in chosen]
    spread = np.linspace(0, len(rest) - 1, TEXTS - len(chosen)).round().astype(int)
    return [short[index] for index in sorted([*chosen, *(rest[position] for position in spread)])]


def tolerance(precision: Precision, texts: Sequence[TextComparison]) -> float:
    """The largest difference from PyTorch that a server may show on `texts`.

    The limit of the export for fp32; otherwise what the export measured on these texts, and MARGIN.
    """
    if precision == "fp32":
        return MAX_SCORE_DIFFERENCE
    return round(max(text.score_difference for text in texts) + MARGIN, SCORE_DIGITS)
