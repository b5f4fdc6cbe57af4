"""The export's parity check, and its results for the demo encoders."""

import pytest
from onnx import numpy_helper

from export_scripts.checkpoint import Checkpoint
from export_scripts.demo.text import read_text
from export_scripts.encoders import build_encoder
from export_scripts.errors import ParityError
from export_scripts.hub_models import HubModel
from export_scripts.parity import Parity, compare_texts

TEXTS = ["a text", "another, longer text of several words", ""]


def test_a_changed_weight_is_noticed(checkpoint: Checkpoint, encoder: HubModel) -> None:
    graph = build_encoder(checkpoint.model, "fp32", fused=True)
    Parity.of(compare_texts(graph, checkpoint, encoder, TEXTS)).require(encoder, "fp32")
    (bias,) = [
        weights
        for weights in graph.graph.initializer
        if weights.name.endswith(("classifier.bias", "classifier.out_proj.bias"))
    ]
    changed = numpy_helper.to_array(bias).copy()
    changed[0] += 5
    bias.CopyFrom(numpy_helper.from_array(changed, bias.name))
    with pytest.raises(ParityError, match=rf"{encoder.name}: a score differs from PyTorch by 0\."):
        Parity.of(compare_texts(graph, checkpoint, encoder, TEXTS)).require(encoder, "fp32")


def test_int8_agrees_in_99_of_100_decisions(checkpoint: Checkpoint, encoder: HubModel) -> None:
    graph = build_encoder(checkpoint.model, "int8", fused=True)
    texts, _ = read_text(encoder, "heldout")
    parity = Parity.of(compare_texts(graph, checkpoint, encoder, texts))
    assert parity.texts == len(texts)
    assert parity.equal_decisions >= 0.99


def test_too_few_equal_decisions_are_refused(encoder: HubModel) -> None:
    with pytest.raises(ParityError, match=r"only 98\.00% of the decisions.*--precision fp32"):
        Parity(texts=100, max_score_difference=0.2, equal_decisions=0.98).require(encoder, "int8")
