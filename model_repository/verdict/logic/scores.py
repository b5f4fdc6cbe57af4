"""Logits to scores: probabilities of each window, then the largest of the windows."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def rejection_scores(logits: Floats) -> Floats:
    """P(REJECTION) FP32 [batch, 1] from `logits` FP32 [batch, windows, 2], before the softmax.

    Softmax over the labels NORMAL, REJECTION, as on the card of
    ProtectAI/distilroberta-base-rejection-v1; then the maximum over windows.
    """
    require_finite("rejection_logits", logits)
    exponentials = np.exp(logits - logits.max(axis=2, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=2, keepdims=True)
    highest: Floats = probabilities[:, :, 1:].max(axis=1)
    return highest


def category_scores(logits: Floats) -> Floats:
    """P(category) FP32 [batch, categories] from `logits` FP32 [batch, windows, categories].

    An independent sigmoid for each label, as on the card of
    AC/MiniLM-L12-H384-uncased_Nvidia-Aegis-AI-Safety; then the maximum over windows.
    """
    require_finite("aegis_logits", logits)
    # The sigmoid written with tanh cannot overflow.
    probabilities = np.float32(0.5) * (np.tanh(np.float32(0.5) * logits) + np.float32(1))
    highest: Floats = probabilities.max(axis=1)
    return highest


def require_finite(name: str, logits: Floats) -> None:
    """Raise ArithmeticError where `logits` holds NaN or infinity: no threshold would ever flag a NaN."""
    if not np.isfinite(logits).all():
        raise ArithmeticError(f"{name} has values that are not finite; the encoder's weights are damaged")
