"""Runs a packed graph without CUDA, by ONNX's reference evaluator, in single precision.

ONNX Runtime has `PackedAttention` only for CUDA. So where there is no GPU, an export checks its parity with
these implementations of ONNX Runtime's operators, written from their documentation:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

import itertools

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from scipy.special import erf

Floats = npt.NDArray[np.float32]


class PackedAttention(OpRun):
    """Attention within each row of packed tokens; output [tokens in all, hidden]."""

    op_domain = "com.microsoft"

    def _run(
        self,
        states: Floats,
        weights: Floats,
        bias: Floats,
        _token_offset: npt.NDArray[np.int32],
        cumulative_tokens: npt.NDArray[np.int32],
        num_heads: int,
        scale: float | None = None,
    ) -> tuple[Floats]:
        tokens, hidden = states.shape
        projected = (states @ weights + bias).reshape(tokens, 3, num_heads, hidden // num_heads)
        factor = scale or 1 / np.sqrt(hidden // num_heads)
        rows = []
        for start, end in itertools.pairwise(cumulative_tokens):
            query, key, value = projected[start:end].transpose(1, 2, 0, 3)
            scores = query @ key.transpose(0, 2, 1) * factor
            shares = np.exp(scores - scores.max(axis=2, keepdims=True))
            shares /= shares.sum(axis=2, keepdims=True)
            rows.append((shares @ value).transpose(1, 0, 2).reshape(-1, hidden))
        return (np.concatenate(rows).astype(states.dtype),)


class SkipLayerNormalization(OpRun):
    """Layer norm of the sum of input, skip connection and bias."""

    op_domain = "com.microsoft"

    def _run(
        self,
        states: Floats,
        skip: Floats,
        gamma: Floats,
        beta: Floats,
        bias: Floats | float = 0.0,
        epsilon: float = 1e-12,
    ) -> tuple[Floats]:
        summed = states + skip + bias
        centred = summed - summed.mean(axis=-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + epsilon)
        return ((centred / deviation * gamma + beta).astype(states.dtype),)


class BiasGelu(OpRun):
    """GELU, by the error function, of the sum of input and bias."""

    op_domain = "com.microsoft"

    def _run(self, states: Floats, bias: Floats) -> tuple[Floats]:
        summed = states + bias
        return ((summed * (1 + erf(summed / np.sqrt(2))) / 2).astype(states.dtype),)


def reference_session(encoder: onnx.ModelProto) -> ReferenceEvaluator:
    """An evaluator of a packed `encoder`; weights in half precision keep their values."""
    return ReferenceEvaluator(_widened(encoder), new_ops=[PackedAttention, SkipLayerNormalization, BiasGelu])


def _widened(encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Copy of `encoder` that computes in single precision."""
    widened = onnx.ModelProto()
    widened.CopyFrom(encoder)
    for tensor in widened.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for node in widened.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    return widened
