"""The reference texts that an export writes into the manifest."""

import json

import numpy as np
import pytest

from export_scripts.checkpoint import Checkpoint
from export_scripts.encoders import Precision, build_encoder
from export_scripts.hub_models import HubModel
from export_scripts.parity import MAX_SCORE_DIFFERENCE, TextComparison, compare_texts
from export_scripts.parity_texts import parity_texts
from export_scripts.self_check import FACTOR, MARGIN, MAX_TOKENS, TEXTS, choose, self_check_entry, tolerance
from launcher.repository.self_check import read_references


def compared(tokens: int, scores: list[float], difference: float = 0.0) -> TextComparison:
    reference = np.array(scores, np.float32)
    return TextComparison(tuple(range(tokens)), reference + np.float32(difference), reference)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_is_written_is_what_the_launcher_reads(
    precision: Precision, checkpoint: Checkpoint, encoder: HubModel
) -> None:
    graph = build_encoder(checkpoint.model, precision, fused=True)
    comparisons = compare_texts(graph, checkpoint, encoder, parity_texts()[::9])
    written = json.loads(json.dumps(self_check_entry(encoder, precision, comparisons)))
    model = {"labels": list(encoder.labels), "self_check": written}
    reference = read_references({"models": {encoder.name: model}})[encoder.name]
    assert reference.scores.shape == (TEXTS, len(encoder.labels))
    assert len(set(reference.input_ids)) == TEXTS
    assert max(map(len, reference.input_ids)) <= MAX_TOKENS
    served = {text.input_ids: text.served for text in comparisons}
    scores = np.array([served[ids] for ids in reference.input_ids])
    assert np.abs(scores - reference.scores).max() <= reference.tolerance


def test_each_label_has_its_highest_text_and_the_rest_are_nearest_to_the_threshold() -> None:
    sure = [compared(10 + index, [0.001, 0.002, 0.003]) for index in range(40)]
    high = [compared(60, [0.9, 0.0, 0.0]), compared(61, [0.0, 0.8, 0.0]), compared(62, [0.0, 0.0, 0.99])]
    near = [compared(70 + index, [0.4, 0.0, 0.0]) for index in range(TEXTS)]
    chosen = choose([*near, *sure, *high, compared(MAX_TOKENS + 1, [1.0, 1.0, 1.0])])
    assert len(chosen) == TEXTS
    assert all(any(text is one for one in chosen) for text in high)
    lengths = [len(text.input_ids) for text in chosen]
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1]) == (10, 70 + TEXTS - 1)
    assert sum(any(text is one for one in chosen) for text in near) == TEXTS - len(high) - 1


def test_few_texts_are_all_taken() -> None:
    texts = [compared(5, [0.1, 0.9]), compared(3, [0.2, 0.8])]
    assert [len(text.input_ids) for text in choose(texts)] == [3, 5]


def test_the_tolerance_is_the_exports_for_fp32_and_else_follows_from_its_figures() -> None:
    texts = [compared(5, [0.1, 0.9], difference=0.03), compared(3, [0.2, 0.8])]
    assert tolerance("fp32", texts) == MAX_SCORE_DIFFERENCE
    assert tolerance("int8", texts) == pytest.approx(FACTOR * 0.03 + MARGIN, abs=1e-4)
    assert tolerance("fp16", texts[1:]) == MARGIN
