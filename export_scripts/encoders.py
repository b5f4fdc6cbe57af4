"""Turns a PyTorch encoder into one ONNX file: export, fuse, quantise or halve, fold.

Each step takes and returns an `onnx.ModelProto` with the flat tensors of optimum's export,
INT64 [rows, tokens]; `add_window_loop`, or for TensorRT `add_window_axis`, comes last.
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

from export_scripts.window_axis import add_window_axis
from export_scripts.window_loop import RunLimits, add_window_loop

Precision = Literal["fp32", "fp16", "int8"]
OPSET = 18
RUN_LIMITS: dict[Precision, RunLimits] = {
    # On a CPU, batching saves only the fixed cost of a run, which is that of about 7 tokens.
    "fp32": RunLimits(max_tokens=96, max_padding_tokens=4),
    # int8 scales are computed over a whole run, so texts in one run would change each other's scores.
    "int8": RunLimits(max_tokens=1, max_padding_tokens=0),
    # For GPUs: 64 windows of 512 tokens bound the memory of a run. Not measured on a GPU.
    "fp16": RunLimits(max_tokens=64 * 512, max_padding_tokens=128),
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
    """Fuse attention, layer norms, embeddings and GELU into ONNX Runtime's own operators.

    RoBERTa has BERT's graph, so both use the fusion type `bert`.
    for_gpu: also fuse layer norms with the additions before them. On a CPU, the fused operator takes 3 to 6
    times as long as the separate ones.
    one_row: every run has one row without padding, so attention needs no mask. Without a mask, ONNX Runtime
    computes attention in blocks that fit the cache; quantisation leaves it in fp32.
    """
    options = FusionOptions("bert")
    options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = for_gpu
    options.use_multi_head_attention = one_row
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


def build_encoder(
    model: PreTrainedModel, precision: Precision, *, fused: bool, loop: bool = True
) -> onnx.ModelProto:
    """The served model at `precision`, with the tensors of `add_window_loop`.

    fused: with ONNX Runtime's fused operators.
    loop: run windows in a loop. False gives a graph without control flow for TensorRT, which computes all
    padding.
    """
    encoder = export_encoder(model)
    if fused:
        one_row = loop and RUN_LIMITS[precision].max_tokens == 1
        encoder = fuse_encoder(encoder, model, for_gpu=precision == "fp16", one_row=one_row)
    if precision == "int8":
        encoder = quantise_encoder(encoder)
    if precision == "fp16":
        encoder = halve_encoder(encoder)
    return add_window_loop(encoder, RUN_LIMITS[precision]) if loop else add_window_axis(encoder)
