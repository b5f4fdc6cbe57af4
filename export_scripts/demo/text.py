"""Reads the sentences that we wrote to train and to test the demo encoders."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from export_scripts.hub_models import HubModel

Split = Literal["train", "heldout"]
TEXT = Path(__file__).parent / "text"


def read_text(encoder: HubModel, split: Split) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Texts of `encoder` and their targets FP32 [texts, labels], 1 if the label holds.

    A line is `{"text": ..., "labels": [names]}` for a multi-label encoder, else
    `{"text": ..., "label": index}`.
    """
    lines = (TEXT / f"{encoder.name}_{split}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    if encoder.multi_label:
        held = [[float(label in row["labels"]) for label in encoder.labels] for row in rows]
    else:
        held = [[float(index == row["label"]) for index in range(len(encoder.labels))] for row in rows]
    return [row["text"] for row in rows], np.array(held, dtype=np.float32)


def read_judgements(split: Split) -> list[dict[str, str]]:
    """Rows of `judge_<split>.jsonl`: text, label, kind and, for training, reason."""
    lines = (TEXT / f"judge_{split}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]
