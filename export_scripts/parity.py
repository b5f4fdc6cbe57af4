"""Compares the scores and decisions of an exported encoder with its PyTorch reference, text by text."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnxruntime import InferenceSession, get_available_providers

from export_scripts.checkpoint import Checkpoint
from export_scripts.encoders import Precision
from export_scripts.errors import ParityError
from export_scripts.hub_models import HubModel
from export_scripts.packed_operators import reference_session
from launcher.repository.contract import limits

DECISION_THRESHOLD = 0.5
MAX_SCORE_DIFFERENCE = 1e-4
MIN_EQUAL_DECISIONS = 0.99


@dataclass(frozen=True)
class TextComparison:
    """The scores FP32 [labels] of one text: `served` by the exported graph, `reference` by PyTorch.

    input_ids: token ids of the text, special tokens included.
    """

    input_ids: tuple[int, ...]
    served: npt.NDArray[np.float32]
    reference: npt.NDArray[np.float32]

    @property
    def score_difference(self) -> float:
        """Largest difference of a score."""
        return float(np.abs(self.served - self.reference).max())

    @property
    def equal_decisions(self) -> float:
        """Share of equal decisions."""
        return float(np.mean((self.served >= DECISION_THRESHOLD) == (self.reference >= DECISION_THRESHOLD)))


@dataclass(frozen=True)
class Parity:
    """Agreement of an export with its reference over `texts` texts.

    max_score_difference: largest difference of a probability, over all texts and labels.
    equal_decisions: share of equal decisions (score >= 0.5), one for each text and label.
    """

    texts: int
    max_score_difference: float
    equal_decisions: float

    @classmethod
    def of(cls, comparisons: Sequence[TextComparison]) -> "Parity":
        """The figures of all `comparisons`."""
        return cls(
            len(comparisons),
            max(text.score_difference for text in comparisons),
            float(np.mean([text.equal_decisions for text in comparisons])),
        )

    def as_dict(self) -> dict[str, float]:
        """The figures for the manifest."""
        return asdict(self)

    def require(self, encoder: HubModel, precision: Precision) -> None:
        """Raise ParityError if the figures of `encoder` miss the limits of `precision`."""
        if precision == "fp32" and self.max_score_difference > MAX_SCORE_DIFFERENCE:
            raise ParityError(
                f"{encoder.name}: a score differs from PyTorch by {self.max_score_difference:.2g}; fp32 "
                f"allows {MAX_SCORE_DIFFERENCE:g}"
            )
        if self.equal_decisions < MIN_EQUAL_DECISIONS:
            raise ParityError(
                f"{encoder.name}: only {self.equal_decisions:.2%} of the decisions equal PyTorch's; "
                f"{precision} asks for {MIN_EQUAL_DECISIONS:.0%}: export with --precision fp32"
            )


def scores_of(logits: torch.Tensor, encoder: HubModel) -> npt.NDArray[np.float32]:
    """Probabilities FP32 [labels] from `logits` FP32 [labels], by the encoder's activation."""
    scores = torch.sigmoid(logits) if encoder.multi_label else torch.softmax(logits, dim=-1)
    return scores.numpy()


def open_session(graph: onnx.ModelProto) -> Any:
    """Something with ONNX Runtime's `run` that computes `graph`.

    A packed graph runs on the GPU if ONNX Runtime finds one, otherwise in ONNX's reference evaluator.
    """
    if all(node.op_type != "PackedAttention" for node in graph.graph.node):
        return InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    if "CUDAExecutionProvider" in get_available_providers():
        return InferenceSession(graph.SerializeToString(), providers=["CUDAExecutionProvider"])
    return reference_session(graph)


def compare_texts(
    graph: onnx.ModelProto,
    checkpoint: Checkpoint,
    encoder: HubModel,
    texts: Sequence[str],
    on_text: Callable[[], None] = lambda: None,
) -> list[TextComparison]:
    """Scores by `graph`, which has the served tensors, and by the reference, of each of `texts`.

    Skips texts of more than 512 tokens. Calls `on_text` after each text.
    """
    session = open_session(graph)
    tokenizer = checkpoint.serving_tokenizer()
    # The default of the model `tokenizer`; `Checkpoint.input_ids` does the same.
    tokenizer.encode_special_tokens = True
    comparisons = []
    for text in texts:
        encoding = tokenizer.encode(text)
        on_text()
        if len(encoding.ids) > limits().max_tokens:
            continue
        feeds = {
            "input_ids": np.array([[encoding.ids]], dtype=np.int32),
            "attention_mask": np.array([[encoding.attention_mask]], dtype=np.int32),
        }
        served = scores_of(torch.from_numpy(session.run(["logits"], feeds)[0][0, 0]), encoder)
        reference = scores_of(checkpoint.logits(text), encoder)
        comparisons.append(TextComparison(tuple(encoding.ids), served, reference))
    return comparisons
