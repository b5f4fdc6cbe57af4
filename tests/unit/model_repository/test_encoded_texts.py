"""The encoders' results as verdict documents."""

import numpy as np
import pytest

from model_repository.verdict.logic.answer import SKIPPED, Judgement
from model_repository.verdict.logic.encoded_texts import EncodedTexts
from model_repository.verdict.logic.policy import Policy

POLICY = Policy(("Threat", "Violence"), 0.5, (0.5, 0.5), 0.5, flags_judge_failure=True, flags_truncation=True)


def encoded(*, labels: int = 2) -> EncodedTexts:
    """Texts of two and of one window; the second is harmless, requests no spans, and has a filler."""
    rejection = np.array([[[4, -4], [-4, 4]], [[4, -4], [-9, 9]]], dtype=np.float32)
    aegis = np.full((2, 2, labels), -5, dtype=np.float32)
    aegis[0, 0, 1] = 3
    aegis[1, 1, 1] = 9
    windows = np.array([[2], [1]], dtype=np.int32)
    return EncodedTexts.from_tensors(
        rejection,
        windows,
        aegis,
        windows,
        windows,
        np.array([[True], [False]]),
        np.array([[[0, 7]], [[-1, -1]]], dtype=np.int32),
    )


def test_the_worst_window_of_a_text_decides_and_spans_are_added() -> None:
    texts = encoded()
    assert texts.rejection_scores.tolist() == [
        [pytest.approx(0.99966, abs=1e-4)],
        [pytest.approx(0.00034, abs=1e-4)],
    ]
    assert texts.category_scores.shape == (2, 2)
    harmful, harmless = texts.verdicts(
        [Judgement("answered", "toxic", 0.9, "It threatens."), SKIPPED], POLICY
    )
    assert (harmful["flagged"], harmful["refusal"]["detected"], harmful["truncated"]) == (True, True, True)
    assert (harmful["windows"], harmful["categories"]["flagged"]) == (2, ["Violence"])
    assert harmful["toxicity"]["reason"] == "It threatens."
    (span,) = harmful["spans"]
    assert (span["start"], span["end"], span["categories"]["flagged"]) == (0, 7, ["Violence"])
    assert (harmless["flagged"], harmless["toxicity"]["score"]) == (False, None)
    assert "spans" not in harmless


def test_nothing_of_the_tensors_is_kept() -> None:
    windows = np.array([[1]], dtype=np.int32)
    logits = np.zeros((1, 1, 2), dtype=np.float32)
    texts = EncodedTexts.from_tensors(
        logits, windows, logits, windows, windows, windows > 1, np.full((1, 1, 2), -1, dtype=np.int32)
    )
    windows[0, 0], logits[...] = 9, 9
    (verdict,) = texts.verdicts([SKIPPED], POLICY)
    assert (verdict["windows"], verdict["refusal"]["score"]) == (1, 0.5)


def test_labels_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels\.txt has 2 labels, and aegis gives 3 logits"):
        encoded(labels=3).verdicts([SKIPPED, SKIPPED], POLICY)


def test_damaged_weights_are_refused() -> None:
    broken = np.full((1, 1, 2), np.nan, dtype=np.float32)
    one = np.array([[1]], dtype=np.int32)
    with pytest.raises(ArithmeticError, match="rejection_logits"):
        EncodedTexts.from_tensors(
            broken, one, broken, one, one, one > 1, np.full((1, 1, 2), -1, dtype=np.int32)
        )
