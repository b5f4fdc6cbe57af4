"""The encoders' results on the texts of one request, and the verdict documents from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .answer import Judgement
from .policy import Policy
from .scores import category_probabilities, rejection_probabilities, without_fillers
from .spans import rows_with_spans, spans_of

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncodedTexts:
    """Probabilities of each text's windows, and the tokenizer's windows, truncation and sentences.

    rejection: FP32 [batch, windows]. categories: FP32 [batch, windows, categories].
    windows: INT32 [batch, 1]. truncated: BOOL [batch, 1]. sentences: INT32 [batch, sentences, 2].
    """

    rejection: Floats
    categories: Floats
    windows: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]
    sentences: npt.NDArray[np.int32]

    @classmethod
    def from_tensors(
        cls,
        rejection_logits: Floats,
        rejection_windows: npt.NDArray[np.int32],
        aegis_logits: Floats,
        aegis_windows: npt.NDArray[np.int32],
        windows: npt.NDArray[np.int32],
        truncated: npt.NDArray[np.bool_],
        sentences: npt.NDArray[np.int32],
    ) -> "EncodedTexts":
        """Copy the values, so that Triton can reuse the memory of the tensors.

        rejection_logits: FP32 [batch, windows, 2]. aegis_logits: FP32 [batch, windows, categories].
        rejection_windows, aegis_windows: INT32 [batch, 1], the first windows that hold the text; the others
        fill the batch and get the probability 0.
        Raises ArithmeticError if logits are not finite.
        """
        return cls(
            without_fillers(rejection_probabilities(rejection_logits), rejection_windows),
            without_fillers(category_probabilities(aegis_logits), aegis_windows),
            windows.copy(),
            truncated.copy(),
            sentences.copy(),
        )

    @cached_property
    def rejection_scores(self) -> Floats:
        """FP32 [batch, 1], the largest of the windows."""
        scores: Floats = self.rejection.max(axis=1, keepdims=True)
        return scores

    @cached_property
    def category_scores(self) -> Floats:
        """FP32 [batch, categories], the largest of the windows."""
        scores: Floats = self.categories.max(axis=1)
        return scores

    def verdicts(self, judgements: Sequence[Judgement], policy: Policy) -> list[dict[str, Any]]:
        """The verdict document of each text, with its spans if requested.

        Raises ValueError unless the policy has a label for each category.
        """
        policy.require_categories(self.categories.shape[2])
        verdicts = [
            policy.decide(*row, truncated=truncated)
            for *row, truncated in zip(
                self.rejection_scores[:, 0].tolist(),
                self.category_scores.tolist(),
                judgements,
                self.windows[:, 0].tolist(),
                self.truncated[:, 0].tolist(),
                strict=True,
            )
        ]
        for row in rows_with_spans(self.sentences):
            verdicts[row]["spans"] = spans_of(
                self.sentences[row], self.rejection[row], self.categories[row], policy
            )
        return verdicts
