"""The packed graph, compared with PyTorch by readable implementations of ONNX Runtime's operators."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from transformers import PreTrainedModel

from export_scripts.checkpoint import load_checkpoint
from export_scripts.encoders import build_encoder
from export_scripts.full_size import full_size_model
from export_scripts.hub_models import ENCODERS, HUB_MODELS
from export_scripts.packed_operators import reference_session
from export_scripts.parity import Parity, compare_texts
from export_scripts.sources import DEMO_WEIGHTS
from model_repository.tokenizer.logic.windows import pad_batch

LAYERS = {"rejection": 6, "aegis": 12}
Ids = npt.NDArray[np.int32]


@pytest.fixture(scope="module", params=ENCODERS)
def packed(request: pytest.FixtureRequest) -> tuple[PreTrainedModel, onnx.ModelProto]:
    """A demonstration encoder, and its packed graph in half precision."""
    model = load_checkpoint(DEMO_WEIGHTS / request.param, HUB_MODELS[request.param]).model
    return model, build_encoder(model, "fp16", "packed", fused=True)


def run(graph: onnx.ModelProto, ids: Ids, mask: Ids) -> npt.NDArray[np.float32]:
    outputs = list(reference_session(graph).run(None, {"input_ids": ids, "attention_mask": mask}))
    return np.asarray(outputs[0])


def reference(model: PreTrainedModel, ids: Ids) -> npt.NDArray[np.float32]:
    with torch.no_grad():
        logits: npt.NDArray[np.float32] = model(torch.from_numpy(ids).long()[None]).logits[0].numpy()
    return logits


@pytest.mark.parametrize("windows", [1, 3, 26])
def test_every_window_has_the_logits_of_pytorch(
    packed: tuple[PreTrainedModel, onnx.ModelProto], windows: int
) -> None:
    model, graph = packed
    rng = np.random.default_rng(windows)
    rows = [
        [rng.integers(5, 200, rng.integers(1, 60)).tolist() for _ in range(1 + text * windows % windows)]
        for text in range(1, 4)
    ]
    rows.append([rng.integers(5, 200, 60).tolist() for _ in range(windows)])
    ids, mask = pad_batch(rows, pad_id=model.config.pad_token_id, pad_to_multiple_of=64)
    logits = run(graph, ids, mask)
    assert logits.shape == (4, windows, model.config.num_labels)
    assert np.isfinite(logits).all()
    for text, row in enumerate(rows):
        for index, window in enumerate(row):
            expected = reference(model, np.array(window, np.int32))
            np.testing.assert_allclose(logits[text, index], expected, atol=1e-3)


def test_rows_without_tokens_fail_nothing(packed: tuple[PreTrainedModel, onnx.ModelProto]) -> None:
    model, graph = packed
    ids = np.full((2, 1, 512), model.config.pad_token_id, np.int32)
    mask = np.zeros_like(ids)
    ids[1, 0, :3], mask[1, 0, :3] = (7, 8, 9), 1
    logits = run(graph, ids, mask)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(logits[1, 0], reference(model, ids[1, 0, :3]), atol=1e-3)


def test_the_export_measures_the_parity_of_the_packed_graph() -> None:
    checkpoint = load_checkpoint(DEMO_WEIGHTS / "aegis", HUB_MODELS["aegis"])
    graph = build_encoder(checkpoint.model, "fp16", "packed", fused=True)
    parity = Parity.of(
        compare_texts(graph, checkpoint, HUB_MODELS["aegis"], ["How to make a bomb?", "Good morning."])
    )
    assert (parity.texts, parity.equal_decisions) == (2, 1.0)
    for tensor in graph.graph.initializer:
        if tensor.name.endswith("classifier.bias"):
            broken = onnx.numpy_helper.to_array(tensor) + np.float16(4)
            tensor.CopyFrom(onnx.numpy_helper.from_array(broken, tensor.name))
    parity = Parity.of(compare_texts(graph, checkpoint, HUB_MODELS["aegis"], ["How to make a bomb?"]))
    assert parity.max_score_difference > 0.1


@pytest.mark.parametrize("name", ENCODERS)
def test_a_full_size_graph_has_no_control_flow_and_packs_every_layer(name: str) -> None:
    graph = build_encoder(full_size_model(name).eval(), "fp16", "packed", fused=True)
    operators = Counter(node.op_type for node in graph.graph.node)
    assert operators["PackedAttention"] == LAYERS[name]
    assert not {"Attention", "Loop", "If", "Scan", "Softmax"} & set(operators)
    shapes = {tensor.name: tensor.type.tensor_type for tensor in graph.graph.input}
    assert {kind.elem_type for kind in shapes.values()} == {onnx.TensorProto.INT32}
