"""Turns a PyTorch encoder into one ONNX file: export, fuse, quantise or halve, fold.

The steps before the last take and return an `onnx.ModelProto` with the flat tensors of optimum's export,
INT64 [rows, tokens]. The last gives it the served tensors, in one of three graphs of equal results:
`loop` for CPUs, `packed` for ONNX Runtime on GPUs, `padded` for TensorRT.
"""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Literal

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from transformers import PreTrainedModel

from export_scripts.first_token import keep_first_token
from export_scripts.packed_graph import pack_encoder
from export_scripts.window_axis import add_window_axis
from export_scripts.window_loop import RunLimits, add_window_loop

Precision = Literal["fp32", "fp16", "int8"]
Graph = Literal["loop", "packed", "padded"]
OPSET = 18
# In half precision there is no loop.
RUN_LIMITS: dict[Precision, RunLimits] = {
    # On a CPU, batching saves only the fixed cost of a run, which is that of about 7 tokens.
    "fp32": RunLimits(max_tokens=96, max_padding_tokens=4),
    # int8 scales are computed over a whole run, so texts in one run would change each other's scores.
    "int8": RunLimits(max_tokens=1, max_padding_tokens=0),
}


def export_encoder(model: PreTrainedModel) -> onnx.ModelProto:
    """Export a sequence classifier with optimum; batch and length are dynamic axes."""
    # On import, optimum's model patches print the names of unrelated models.
    with contextlib.redirect_stdout(io.StringIO()):
        from optimum.exporters.onnx import onnx_export_from_model
    with tempfile.TemporaryDirectory() as folder:
        onnx_export_from_model(
            model, folder, opset=OPSET, task="text-classification", do_validation=False, no_post_process=True
        )
        return onnx.load(Path(folder) / "model.onnx")


def fuse_encoder(
    encoder: onnx.ModelProto, model: PreTrainedModel, *, for_gpu: bool, one_row: bool
) -> onnx.ModelProto:
    """Fuse attention, layer norms and GELU, on a CPU also embeddings, into ONNX Runtime's own operators.

    RoBERTa has BERT's graph, so both use the fusion type `bert`.
    for_gpu: also fuse layer norms with the additions before them. On a CPU, the fused operator takes 3 to 6
    times as long as the separate ones. The packed graph has embeddings of its own.
    one_row: every run has one row without padding, so attention needs no mask. Without a mask, ONNX Runtime
    computes attention in blocks that fit the cache; quantisation leaves it in fp32.
    """
    options = FusionOptions("bert")
    options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = for_gpu
    options.use_multi_head_attention = one_row
    options.enable_embed_layer_norm = not for_gpu
    optimised = optimize_model(
        encoder,
        model_type="bert",
        num_heads=model.config.num_attention_heads,
        hidden_size=model.config.hidden_size,
        opt_level=0,
        optimization_options=options,
    )
    fused: onnx.ModelProto = optimised.model
    if one_row:
        for node in optimised.get_nodes_by_op_type("MultiHeadAttention"):
            # Query, key, value and bias; the mask is next.
            del node.input[4:]
    fused.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return fused


def quantise_encoder(encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Quantise the weights of matrix products to int8, activations at run time.

    7-bit weights (`reduce_range`): without VNNI, x86 adds pairs of int8 products in int16, which
    8-bit weights can overflow (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(
            encoder,
            path,
            op_types_to_quantize=["MatMul", "Attention"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            # ONNX cannot infer the output types of the fused operators.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return onnx.load(path)


def halve_encoder(encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Weights and activations in fp16, for ONNX Runtime on a GPU; inputs and logits keep their types."""
    halved: onnx.ModelProto = convert_float_to_float16(encoder, keep_io_types=True, disable_shape_infer=True)
    return halved


def graph_of(precision: Precision, *, for_tensorrt: bool) -> Graph:
    """The graph that serves an encoder at `precision`."""
    if for_tensorrt:
        return "padded"
    return "packed" if precision == "fp16" else "loop"


def build_encoder(
    model: PreTrainedModel, precision: Precision, graph: Graph = "loop", *, fused: bool
) -> onnx.ModelProto:
    """The served model at `precision`: windows of tokens in, their logits out.

    Inputs `input_ids`, `attention_mask` INT32 [batch, windows, tokens]; output `logits` FP32
    [batch, windows, labels].
    fused: with ONNX Runtime's fused operators, which a packed graph needs.
    """
    encoder = export_encoder(model)
    if fused:
        one_row = graph == "loop" and RUN_LIMITS[precision].max_tokens == 1
        encoder = fuse_encoder(encoder, model, for_gpu=graph == "packed", one_row=one_row)
        if graph == "loop":
            keep_first_token(encoder)
    if precision == "int8":
        encoder = quantise_encoder(encoder)
    if graph == "packed":
        encoder = pack_encoder(encoder, model)
    if precision == "fp16":
        encoder = halve_encoder(encoder)
    if graph == "packed":
        return encoder
    return add_window_loop(encoder, RUN_LIMITS[precision]) if graph == "loop" else add_window_axis(encoder)
