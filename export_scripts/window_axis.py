"""Gives an exported encoder the served tensors with standard operators and no loop, for TensorRT."""

import onnx
from onnx import compose, parser

# The newest IR version that ONNX Runtime 1.18 and later read.
IR_VERSION = 10


def add_window_axis(encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Wrap `encoder` so that it takes windows and needs no token types.

    encoder: inputs `input_ids`, `attention_mask` and perhaps `token_type_ids`, all INT64
    [rows, tokens]; output `logits` FP32 [rows, labels].
    Returns a model with inputs `input_ids`, `attention_mask` INT32 [batch, windows, tokens] and
    output `logits` FP32 [batch, windows, labels]; every token is of type 0.
    """
    opset = next(entry.version for entry in encoder.opset_import if entry.domain in ("", "ai.onnx"))
    names = [tensor.name for tensor in encoder.graph.input]
    body = compose.add_prefix(encoder, "rows_")
    body.ir_version = IR_VERSION
    fold = _fold(opset, with_token_types="token_type_ids" in names)
    folded = compose.merge_models(
        fold,
        body,
        io_map=[(f"folded_{name}", f"rows_{name}") for name in names],
        outputs=["rows_logits", "leading_axes"],
    )
    model = compose.merge_models(
        folded,
        _unfold(opset),
        io_map=[("rows_logits", "row_logits"), ("leading_axes", "batch_and_windows")],
        outputs=["logits"],
    )
    # merge_models repeats the operator sets of each part.
    del model.opset_import[:]
    model.opset_import.extend(encoder.opset_import)
    onnx.checker.check_model(model)
    return model


def _fold(opset: int, *, with_token_types: bool) -> onnx.ModelProto:
    output = node = ""
    if with_token_types:
        output = "int64[rows, tokens] folded_token_type_ids,"
        node = "folded_token_type_ids = Sub(folded_input_ids, folded_input_ids)"
    return parser.parse_model(
        f"""{model_header(opset)}
        fold (
            int32[batch, windows, tokens] input_ids, int32[batch, windows, tokens] attention_mask
        ) => (
            int64[rows, tokens] folded_input_ids, int64[rows, tokens] folded_attention_mask,
            {output} int64[2] leading_axes
        ) {{
            leading_axes = Shape <start = 0, end = 2> (input_ids)
            last_axis = Shape <start = 2, end = 3> (input_ids)
            any_rows = Constant <value_ints = [-1]> ()
            rows_by_tokens = Concat <axis = 0> (any_rows, last_axis)
            row_ids = Reshape(input_ids, rows_by_tokens)
            row_mask = Reshape(attention_mask, rows_by_tokens)
            folded_input_ids = Cast <to = 7> (row_ids)
            folded_attention_mask = Cast <to = 7> (row_mask)
            {node}
        }}"""
    )


def _unfold(opset: int) -> onnx.ModelProto:
    return parser.parse_model(
        f"""{model_header(opset)}
        unfold (float[rows, labels] row_logits, int64[2] batch_and_windows)
            => (float[batch, windows, labels] logits) {{
            label_axis = Shape <start = 1, end = 2> (row_logits)
            unfolded_shape = Concat <axis = 0> (batch_and_windows, label_axis)
            logits = Reshape(row_logits, unfolded_shape)
        }}"""
    )


def model_header(opset: int) -> str:
    """Header of a model in the text format of `onnx.parser`."""
    return f'<ir_version: {IR_VERSION}, opset_import: ["" : {opset}]>'
