"""Computes the rest of an encoder's last layer for the first token of each row, which alone is classified.

A classifier of BERT's kind reads only the first token. After the last attention no token reads another one,
so the result is the same, and three quarters of the last layer's matrix products are left out.
"""

import onnx
from onnx import helper

ATTENTIONS = ("Attention", "MultiHeadAttention", "PackedAttention")


def keep_first_token(encoder: onnx.ModelProto) -> None:
    """Change a fused `encoder` with hidden states [rows, tokens, hidden] in place.

    An encoder without fused attention stays as it is.
    """
    attention = last_attention(encoder.graph)
    if attention is None:
        return
    encoder.graph.initializer.append(helper.make_tensor("first_token", onnx.TensorProto.INT64, [1], [0]))
    gather_after(encoder.graph, attention, "first_token", axis=1)


def last_attention(graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """The fused attention of the last layer; None if attention is not fused."""
    return next((node for node in reversed(graph.node) if node.op_type in ATTENTIONS), None)


def gather_after(graph: onnx.GraphProto, attention: onnx.NodeProto, indices: str, axis: int) -> None:
    """Let everything after `attention` read only `indices` of `axis`.

    Its inputs are computed in full; the residual connection around it reads the same indices as its output.
    """
    residual = _layer_input(graph, attention)
    nodes = list(graph.node)
    position = next(index for index, node in enumerate(nodes) if node.output[0] == attention.output[0])
    before, after = nodes[: position + 1], nodes[position + 1 :]
    gathers = []
    for tensor in (attention.output[0], residual):
        gathered = f"{tensor}_{indices}"
        gathers.append(helper.make_node("Gather", [tensor, indices], [gathered], axis=axis))
        for node in after:
            node.input[:] = [gathered if name == tensor else name for name in node.input]
    del graph.node[:]
    graph.node.extend([*before, *gathers, *after])


def _layer_input(graph: onnx.GraphProto, attention: onnx.NodeProto) -> str:
    """The hidden states that the layer of `attention` reads."""
    if attention.op_type != "MultiHeadAttention":
        return attention.input[0]
    query = next(node for node in graph.node if attention.input[0] in node.output)
    return query.input[0]
