"""Prepacked weights for this machine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser
from onnxruntime import InferenceSession, SessionOptions

from launcher import StartError
from launcher.host.files import PACKED_MODEL, PACKED_WEIGHTS
from launcher.host.prepacking import prepack, prepack_encoders


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "rejection" / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    graph = parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 18]>
        product (float[rows, 64] x) => (float[rows, 64] y) { y = MatMul(x, w) }"""
    )
    weights = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    onnx.save(graph, path)
    return path


def test_the_packed_model_gives_the_same_values(model: Path, tmp_path: Path) -> None:
    prepack_encoders(tmp_path)
    inputs = {"x": np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)}
    packed = InferenceSession(model.parent / PACKED_MODEL).run(None, inputs)
    np.testing.assert_array_equal(packed[0], InferenceSession(model).run(None, inputs)[0])
    assert {path.name for path in model.parent.iterdir()} == {
        "model.onnx",
        PACKED_MODEL,
        PACKED_WEIGHTS,
        "local.json",
    }


def test_it_is_repacked_only_when_the_model_changes(model: Path) -> None:
    prepack(model)
    packed = model.parent / PACKED_MODEL
    first = packed.stat().st_mtime_ns
    prepack(model)
    assert packed.stat().st_mtime_ns == first
    onnx.save(onnx.load(model), model)
    prepack(model)
    assert packed.stat().st_mtime_ns != first


def test_a_damaged_model_is_named(model: Path) -> None:
    model.write_bytes(b"no model")
    with pytest.raises(StartError, match=r"model.onnx cannot be read: .*export it again"):
        prepack(model)
    assert [path.name for path in model.parent.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("harm", [lambda file: file.write_bytes(b"x"), lambda file: file.unlink()])
def test_packed_files_that_were_touched_are_packed_anew(model: Path, harm: Callable[[Path], None]) -> None:
    prepack(model)
    packed = model.parent / PACKED_WEIGHTS
    content = packed.read_bytes()
    harm(packed)
    prepack(model)
    assert packed.read_bytes() == content


def test_layer_norms_stay_apart_from_their_sums(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    graph = parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 18]>
        norm (float[2, 3, 512] x, float[2, 3, 512] skip) => (float[2, 3, 512] y)
        { sum = Add(x, skip) y = LayerNormalization <axis = -1> (sum, gamma, beta) }"""
    )
    for name in ("gamma", "beta"):
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(512, np.float32), name))
    onnx.save(graph, path)
    options = SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "joined.onnx")
    InferenceSession(path, options)
    assert operators(tmp_path / "joined.onnx") == {"SkipLayerNormalization"}
    prepack(path)
    assert operators(tmp_path / PACKED_MODEL) == {"Add", "LayerNormalization"}


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
