"""Logits to the probabilities of each window; the score of a text is the largest of its windows."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def rejection_probabilities(logits: Floats) -> Floats:
    """P(REJECTION) FP32 [batch, windows] from `logits` FP32 [batch, windows, 2], before the softmax.

    Softmax over the labels NORMAL, REJECTION, as on the card of ProtectAI/distilroberta-base-rejection-v1.
    """
    require_finite("rejection_logits", logits)
    exponentials = np.exp(logits - logits.max(axis=2, keepdims=True))
    probabilities: Floats = exponentials[:, :, 1] / exponentials.sum(axis=2)
    return probabilities


def category_probabilities(logits: Floats) -> Floats:
    """P(category) FP32 [batch, windows, categories] from `logits` of that shape.

    An independent sigmoid for each label, as on the card of
    AC/MiniLM-L12-H384-uncased_Nvidia-Aegis-AI-Safety.
    """
    require_finite("aegis_logits", logits)
    # The sigmoid written with tanh cannot overflow.
    probabilities: Floats = np.float32(0.5) * (np.tanh(np.float32(0.5) * logits) + np.float32(1))
    return probabilities


def without_fillers(probabilities: Floats, windows: npt.NDArray[np.int32]) -> Floats:
    """`probabilities` FP32 [batch, windows, ...] with 0 after a text's first `windows` INT32 [batch, 1]."""
    is_filler = np.arange(probabilities.shape[1]) >= windows
    if is_filler.any():
        probabilities[is_filler] = 0
    return probabilities


def require_finite(name: str, logits: Floats) -> None:
    """Raise ArithmeticError if `logits` has NaN or infinity, because a NaN never crosses a threshold."""
    if not np.isfinite(logits).all():
        raise ArithmeticError(f"{name} has values that are not finite; the encoder's weights are damaged")
