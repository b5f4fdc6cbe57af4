"""ONNX encoders compared with PyTorch, on random weights of both architectures."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    set_seed,
)

from export_scripts.encoders import Graph, Precision, build_encoder, graph_of

SMALL = {
    "vocab_size": 200,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "initializer_range": 0.2,
    "attn_implementation": "eager",
}


def roberta() -> PreTrainedModel:
    return RobertaForSequenceClassification(RobertaConfig(max_position_embeddings=66, num_labels=2, **SMALL))


def bert() -> PreTrainedModel:
    return BertForSequenceClassification(BertConfig(max_position_embeddings=64, num_labels=14, **SMALL))


def nodes(encoder: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Nodes of the graph and of the loop in it."""
    bodies = [
        attribute.g
        for node in encoder.graph.node
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
    ]
    return [node for graph in (encoder.graph, *bodies) for node in graph.node]


def operators(encoder: onnx.ModelProto) -> set[str]:
    """Operators of the graph and of the loop in it."""
    return {node.op_type for node in nodes(encoder)}


@pytest.mark.parametrize("graph", ["loop", "padded"])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("architecture", "pad_id"), [(roberta, 1), (bert, 0)])
def test_windows_go_in_and_come_out(
    architecture: Callable[[], PreTrainedModel], pad_id: int, fused: bool, graph: Graph
) -> None:
    set_seed(3)
    model = architecture().eval()
    encoder = build_encoder(model, "fp32", graph, fused=fused)
    session = InferenceSession(encoder.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [tensor.name for tensor in session.get_inputs()] == ["input_ids", "attention_mask"]
    assert [tensor.shape for tensor in session.get_inputs()] == [["batch", "windows", "tokens"]] * 2

    rng = np.random.default_rng(3)
    for batch, windows, tokens in ((1, 1, 2), (3, 1, 17), (2, 4, 60)):
        input_ids = rng.integers(5, 200, (batch, windows, tokens), dtype=np.int32)
        attention_mask = np.ones_like(input_ids)
        attention_mask[-1, :, tokens // 2 + 1 :] = 0
        input_ids[attention_mask == 0] = pad_id
        (logits,) = session.run(["logits"], {"input_ids": input_ids, "attention_mask": attention_mask})
        with torch.no_grad():
            rows = model(
                input_ids=torch.from_numpy(input_ids.reshape(-1, tokens)).long(),
                attention_mask=torch.from_numpy(attention_mask.reshape(-1, tokens)),
            ).logits
        np.testing.assert_allclose(logits, rows.reshape(batch, windows, -1), atol=1e-4)


def test_fusion_takes_the_place_of_plain_attention() -> None:
    encoder = build_encoder(bert(), "fp32", fused=True)
    assert "Attention" in operators(encoder)
    assert "Softmax" not in operators(encoder)


@pytest.mark.parametrize(("precision", "joined"), [("fp32", False), ("fp16", True)])
def test_layer_norms_join_their_sums_only_for_a_gpu(precision: Precision, joined: bool) -> None:
    graph = graph_of(precision, for_tensorrt=False)
    found = operators(build_encoder(bert(), precision, graph, fused=True))
    assert ("SkipLayerNormalization" in found) == joined


def test_int8_holds_its_weights_in_a_quarter_of_the_space() -> None:
    model = bert()
    plain, quantised = (build_encoder(model, precision, fused=True) for precision in ("fp32", "int8"))
    embeddings = 4 * model.get_input_embeddings().weight.numel()
    assert (quantised.ByteSize() - embeddings) < 0.45 * (plain.ByteSize() - embeddings)


@pytest.mark.parametrize("architecture", [roberta, bert])
def test_attention_in_int8_has_no_mask_where_every_row_runs_alone(
    architecture: Callable[[], PreTrainedModel],
) -> None:
    alone = [
        node
        for node in nodes(build_encoder(architecture(), "int8", fused=True))
        if node.op_type == "MultiHeadAttention"
    ]
    assert [len(node.input) for node in alone] == [4, 4]
    assert "QAttention" in operators(build_encoder(architecture(), "int8", "padded", fused=True))


@pytest.mark.parametrize(("architecture", "pad_id"), [(roberta, 1), (bert, 0)])
def test_padding_changes_no_score_in_int8(architecture: Callable[[], PreTrainedModel], pad_id: int) -> None:
    set_seed(3)
    encoder = build_encoder(architecture().eval(), "int8", fused=True)
    session = InferenceSession(encoder.SerializeToString(), providers=["CPUExecutionProvider"])
    input_ids = np.random.default_rng(3).integers(5, 200, (3, 1, 40), dtype=np.int32)
    attention_mask = np.ones_like(input_ids)
    lengths = (40, 7, 1)
    for row, tokens in enumerate(lengths):
        attention_mask[row, 0, tokens:] = 0
    input_ids[attention_mask == 0] = pad_id
    (padded,) = session.run(["logits"], {"input_ids": input_ids, "attention_mask": attention_mask})
    for row, tokens in enumerate(lengths):
        ids = input_ids[row : row + 1, :, :tokens]
        (alone,) = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        np.testing.assert_array_equal(padded[row], alone[0])
