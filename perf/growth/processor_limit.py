"""The processor's limit: its measured matrix throughput divided by the operations of a text."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession, SessionOptions

from export_scripts.hub_models import ENCODERS
from launcher.host.devices import available_cores
from launcher.repository.contract import limits
from perf.baselines.encoder_sessions import open_tokenizer
from perf.load.workload import SPECIAL_TOKENS, STRIDE_TOKENS, WINDOW_TOKENS

# OPSET of export_scripts/encoders.py, whose import takes 12 s; a test ties them.
OPSET = 18
# Rows and columns of the factors. Larger ones do not fit a core's cache.
MATRIX_SIZE = 1024
MEASURING_S = 1.0
GIGA = 1e9
# By precision: the operator, and the types of its inputs and of its output.
PRODUCTS = {
    "fp32": ("MatMul", np.float32, np.float32, TensorProto.FLOAT),
    "int8": ("MatMulInteger", np.uint8, np.int8, TensorProto.INT32),
}


@dataclass(frozen=True)
class EncoderShape:
    """The dimensions of an encoder that determine its operations."""

    layers: int
    hidden_size: int
    feed_forward_size: int

    @classmethod
    def read(cls, checkpoint: Path) -> "EncoderShape":
        """Read them from the config.json of a checkpoint's folder."""
        config = json.loads((checkpoint / "config.json").read_text("utf-8"))
        return cls(config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"])

    def window_gflop(self, tokens: int) -> float:
        """Billions of operations of the matrix products for one window, without the classifier.

        Two for each weight and token, and two for each pair of tokens in each of the two products of
        attention: the appendix of https://arxiv.org/abs/2104.04473. The classifier's share is below 0.2 %.
        """
        weights = 4 * self.hidden_size**2 + 2 * self.hidden_size * self.feed_forward_size
        return self.layers * (2 * weights * tokens + 4 * self.hidden_size * tokens**2) / GIGA


def text_gflop(shape: EncoderShape, tokens: int) -> float:
    """Billions of operations of an encoder for a text of a number of tokens, without special tokens."""
    windows = 1 + max(0, -(-(tokens - WINDOW_TOKENS) // STRIDE_TOKENS))
    return windows * shape.window_gflop(min(tokens + SPECIAL_TOKENS, limits().max_tokens))


def mean_gflop(checkpoints: Path, repository: Path, texts: Sequence[str]) -> float:
    """Mean of billions of operations of both encoders for one of `texts`."""
    total_gflop = 0.0
    for name in ENCODERS:
        shape, tokenizer = EncoderShape.read(checkpoints / name), open_tokenizer(repository, name)
        encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        total_gflop += sum(text_gflop(shape, len(encoding.ids)) for encoding in encodings)
    return total_gflop / len(texts)


def product_session(precision: str) -> InferenceSession:
    """A session with one thread that multiplies `factor` [MATRIX_SIZE, MATRIX_SIZE] by a constant matrix."""
    operator, factor_type, weight_type, product_type = PRODUCTS[precision]
    shape = (MATRIX_SIZE, MATRIX_SIZE)
    weights = numpy_helper.from_array(np.ones(shape, weight_type), "weights")
    graph = helper.make_graph(
        [helper.make_node(operator, ["factor", "weights"], ["product"])],
        "product",
        [
            helper.make_tensor_value_info(
                "factor", helper.np_dtype_to_tensor_dtype(np.dtype(factor_type)), shape
            )
        ],
        [helper.make_tensor_value_info("product", product_type, shape)],
        [weights],
    )
    model: onnx.ModelProto = helper.make_model_gen_version(
        graph, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    options = SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def core_gflop_per_s(precision: str, duration_s: float = MEASURING_S) -> float:
    """Billions of operations of a core in one second of CPU time, while all cores multiply.

    It counts the threads' CPU time, so other work on the machine lowers it little.
    """
    cores = available_cores()
    sessions = [product_session(precision) for _ in range(cores)]
    factor = np.ones((MATRIX_SIZE, MATRIX_SIZE), PRODUCTS[precision][1])

    def multiply(session: InferenceSession) -> tuple[int, float]:
        products, started_s, ends_s = 0, time.thread_time(), time.perf_counter() + duration_s
        while time.perf_counter() < ends_s:
            session.run(None, {"factor": factor})
            products += 1
        return products, time.thread_time() - started_s

    with ThreadPoolExecutor(cores) as pool:
        products, used_s = map(sum, zip(*pool.map(multiply, sessions), strict=True))
    return products * 2 * MATRIX_SIZE**3 / GIGA / used_s
