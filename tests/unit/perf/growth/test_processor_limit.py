"""The operations of a text, and the matrix throughput of the processor."""

import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForSequenceClassification

from perf.growth.processor_limit import PRODUCTS, EncoderShape, core_gflop_per_s, text_gflop
from perf.load.workload import STRIDE_TOKENS, WINDOW_TOKENS

TOKENS = 130
CONFIG = BertConfig(
    hidden_size=384, intermediate_size=1536, num_hidden_layers=3, vocab_size=50, attn_implementation="eager"
)


def test_the_operations_are_those_that_pytorch_counts(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_dict()), "utf-8")
    model = BertForSequenceClassification(CONFIG)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.zeros((1, TOKENS), dtype=torch.int64))
    counted_gflop = counter.get_total_flops() / 1e9
    assert EncoderShape.read(tmp_path).window_gflop(TOKENS) == pytest.approx(counted_gflop, rel=1e-3)


@pytest.mark.parametrize(
    ("tokens", "windows"),
    [(WINDOW_TOKENS, 1), (WINDOW_TOKENS + 1, 2), (WINDOW_TOKENS + STRIDE_TOKENS, 2), (1848, 4)],
)
def test_a_long_text_takes_whole_windows(tokens: int, windows: int) -> None:
    shape = EncoderShape(layers=6, hidden_size=768, feed_forward_size=3072)
    assert text_gflop(shape, tokens) == windows * shape.window_gflop(512)


@pytest.mark.parametrize("precision", PRODUCTS)
def test_the_processor_multiplies_at_each_precision(precision: str) -> None:
    assert core_gflop_per_s(precision, duration_s=0.05) > 0
