"""Gives an exported encoder the served tensors, and a graph for GPUs that computes no padding.

The tokens of all windows lie one after another, [tokens in all, hidden], from the embeddings to the last
layer. ONNX Runtime's `PackedAttention`, which exists only for CUDA, keeps each window's attention to itself.
The graph has no control flow, and texts of all lengths share one shape.

`RemovePadding`, which ONNX Runtime's own conversion uses, finds the tokens in one thread of the GPU and
after the embeddings. Here standard operators find them in parallel and before the embeddings.
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

import onnx
from onnx import compose, parser
from transformers import PreTrainedModel

from export_scripts.first_token import gather_after, last_attention
from export_scripts.window_axis import model_header

CONTRIB = "com.microsoft"


def pack_encoder(encoder: onnx.ModelProto, model: PreTrainedModel) -> onnx.ModelProto:
    """Wrap `encoder` so that it takes windows and computes only their tokens.

    encoder: fused, with `Attention` in each layer; `model` is the one that it was exported from.
    Returns a model with inputs `input_ids`, `attention_mask` INT32 [batch, windows, tokens] and output
    `logits` FP32 [batch, windows, labels]; every token is of type 0. Padding must follow a window's tokens.
    A window of only padding counts as a single token, so that it cannot fail the run. A padding token that
    the mask shows takes a position like any other.
    """
    opset = next(entry.version for entry in encoder.opset_import if entry.domain in ("", "ai.onnx"))
    packed = compose.add_prefix(encoder, "encoder_")
    graph = packed.graph
    embedded = _embedded(graph)
    epsilon = next(a.f for a in embedded.attribute if a.name == "epsilon")
    weights = _weights(graph, embedded)
    prologue = parser.parse_model(
        _prologue(opset, weights, embedded.output[0], epsilon, _first_position(model))
    ).graph
    for node in graph.node:
        if node.op_type == "Attention":
            node.op_type = "PackedAttention"
            node.input[3:] = ["token_offset", "cumulative_tokens"]
            kept = [a for a in node.attribute if a.name in ("num_heads", "scale")]
            del node.attribute[:]
            node.attribute.extend(kept)
    attention = last_attention(graph)
    if attention is None or attention.op_type != "PackedAttention":
        raise ValueError("the attention cannot be packed, because it was not fused")
    gather_after(graph, attention, "first_tokens", axis=0)
    _take_all_rows(graph)
    epilogue = parser.parse_model(_epilogue(opset, graph.output[0].name)).graph

    layers = [node for node in graph.node if node.output[0] != embedded.output[0]]
    nodes = [*prologue.node, *layers, *epilogue.node]
    result = parser.parse_model(
        f"""{model_header(opset)}
        packed (int32[batch, windows, tokens] input_ids, int32[batch, windows, tokens] attention_mask)
            => (float[batch, windows, labels] logits) {{}}"""
    )
    result.graph.node.extend(_needed(nodes, "logits"))
    used = {name for node in result.graph.node for name in node.input}
    result.graph.initializer.extend(tensor for tensor in graph.initializer if tensor.name in used)
    del result.opset_import[:]
    result.opset_import.extend(encoder.opset_import)
    return result


def _embedded(graph: onnx.GraphProto) -> onnx.NodeProto:
    """The layer norm that ends the embeddings: the first attention reads its output."""
    attention = next(node for node in graph.node if node.op_type == "Attention")
    return next(node for node in graph.node if attention.input[0] in node.output)


def _weights(graph: onnx.GraphProto, norm: onnx.NodeProto) -> tuple[str, ...]:
    """Names of the embeddings of words, positions and types, and of the scale and shift of their `norm`."""
    embeddings = [
        next(tensor.name for tensor in graph.initializer if tensor.name.endswith(f"{kind}_embeddings.weight"))
        for kind in ("word", "position", "token_type")
    ]
    first = 1 if norm.op_type == "LayerNormalization" else 2
    return (*embeddings, *norm.input[first : first + 2])


def _first_position(model: PreTrainedModel) -> int:
    """Number of a window's first position: RoBERTa counts from behind the padding token's number."""
    return model.config.pad_token_id + 1 if model.config.model_type == "roberta" else 0


def _prologue(
    opset: int, weights: tuple[str, ...], embedded: str, epsilon: float, first_position: int
) -> str:
    """From the inputs to the embeddings [tokens in all, hidden], and what attention needs to know."""
    words, positions, types, scale, shift = weights
    return f"""{model_header(opset)}
        prologue (int32[batch, windows, tokens] input_ids, int32[batch, windows, tokens] attention_mask)
            => (float[all, hidden] {_quoted(embedded)}) {{
            one = Constant <value = int32 {{1}}> ()
            start = Constant <value = int32 {{0}}> ()
            first = Constant <value_ints = [0]> ()
            last = Constant <value_ints = [-1]> ()
            zero = Constant <value = int32[1] {{0}}> ()
            offset = Constant <value_int = {first_position}> ()

            leading_axes = Shape <start = 0, end = 2> (input_ids)
            width_axis = Shape <start = 2, end = 3> (input_ids)
            rows_by_tokens = Concat <axis = 0> (last, width_axis)
            row_mask = Reshape(attention_mask, rows_by_tokens)
            shown_tokens = ReduceSum <keepdims = 0> (row_mask, last)
            row_tokens = Max(shown_tokens, one)
            row_limits = Unsqueeze(row_tokens, last)

            width = Squeeze(width_axis)
            width_32 = Cast <to = 6> (width)
            places = Range(start, width_32, one)
            is_token = Less(places, row_limits)
            is_token_flat = Reshape(is_token, last)
            token_index = NonZero(is_token_flat)
            tokens_flat = Squeeze(token_index, first)
            is_padding = Not(is_token_flat)
            padding_index = NonZero(is_padding)
            padding_flat = Squeeze(padding_index, first)
            offsets_flat = Concat <axis = 0> (tokens_flat, padding_flat)
            offsets_32 = Cast <to = 6> (offsets_flat)
            token_offset = Reshape(offsets_32, rows_by_tokens)

            axis_0 = Constant <value_int = 0> ()
            ends = CumSum(row_tokens, axis_0)
            cumulative_tokens = Concat <axis = 0> (zero, ends)
            first_tokens = Sub(ends, row_tokens)

            ids_flat = Reshape(input_ids, last)
            ids = Gather(ids_flat, tokens_flat)
            place = Mod(tokens_flat, width)
            position = Add(place, offset)
            word = Gather({_quoted(words)}, ids)
            position_row = Gather({_quoted(positions)}, position)
            type_row = Gather({_quoted(types)}, axis_0)
            word_in_place = Add(word, position_row)
            summed = Add(word_in_place, type_row)
            {_quoted(embedded)} = LayerNormalization <axis = -1, epsilon = {epsilon:.12f}>
                (summed, {_quoted(scale)}, {_quoted(shift)})
        }}"""


def _epilogue(opset: int, row_logits: str) -> str:
    """From the logits of each row to those of each window of each text."""
    return f"""{model_header(opset)}
        epilogue (float[rows, labels] {_quoted(row_logits)}, int64[2] leading_axes)
            => (float[batch, windows, labels] logits) {{
            label_axis = Shape <start = 1, end = 2> ({_quoted(row_logits)})
            logits_shape = Concat <axis = 0> (leading_axes, label_axis)
            logits = Reshape({_quoted(row_logits)}, logits_shape)
        }}"""


def _quoted(name: str) -> str:
    return f'"{name}"'


def _take_all_rows(graph: onnx.GraphProto) -> None:
    """Remove the selection of the first token, since only first tokens are left."""
    selection = next(
        node
        for node in graph.node
        if node.op_type == "Gather" and any(a.name == "axis" and a.i == 1 for a in node.attribute)
    )
    for node in graph.node:
        node.input[:] = [selection.input[0] if name == selection.output[0] else name for name in node.input]


def _needed(nodes: list[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """Those of `nodes`, in order, that `output` depends on."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
