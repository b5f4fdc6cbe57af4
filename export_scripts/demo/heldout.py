"""Evaluates the demo models on held-out sentences that share no template with the training text."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import f1_score, precision_score, recall_score
from transformers import AutoTokenizer, Phi3ForCausalLM

from export_scripts.checkpoint import Checkpoint
from export_scripts.demo.text import read_judgements, read_text
from export_scripts.hub_models import HubModel
from export_scripts.parity import DECISION_THRESHOLD, scores_of
from export_scripts.prompt_template import render_prompt


@dataclass(frozen=True)
class Quality:
    """Held-out metrics at a threshold of 0.5.

    precision, recall, f1: of REJECTION, or the micro-average over the categories.
    harmless_flagged: false-positive rate of the texts without a label.
    """

    texts: int
    precision: float
    recall: float
    f1: float
    harmless_flagged: float


def heldout_scores(
    checkpoint: Checkpoint, encoder: HubModel
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Scores and targets of the held-out text, both FP32 [texts, labels]; without rejection's NORMAL."""
    texts, targets = read_text(encoder, "heldout")
    scores = np.stack([scores_of(checkpoint.logits(text), encoder) for text in texts])
    first = 0 if encoder.multi_label else 1
    return scores[:, first:], targets[:, first:]


def measure_quality(checkpoint: Checkpoint, encoder: HubModel) -> Quality:
    """Metrics of `checkpoint` on the encoder's held-out text, by scikit-learn."""
    scores, targets = heldout_scores(checkpoint, encoder)
    predicted = scores >= DECISION_THRESHOLD
    # scikit-learn reads one column as two classes, and their micro-average is the accuracy.
    average = "micro" if encoder.multi_label else "binary"
    harmless = targets.sum(axis=1) == 0
    return Quality(
        texts=len(targets),
        precision=float(precision_score(targets, predicted, average=average)),
        recall=float(recall_score(targets, predicted, average=average)),
        f1=float(f1_score(targets, predicted, average=average)),
        harmless_flagged=float(predicted[harmless].any(axis=1).mean()),
    )


@dataclass(frozen=True)
class JudgeQuality:
    """Share of the held-out texts whose greedy answer starts with the right label, and the other texts."""

    texts: int
    accuracy: float
    wrong: tuple[str, ...]


@torch.no_grad()
def measure_judge(folder: Path) -> JudgeQuality:
    """Judge the held-out text with the checkpoint in `folder`."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = Phi3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt = render_prompt(tokenizer)
    rows = read_judgements("heldout")
    wrong = []
    for row in rows:
        inputs = tokenizer(f"{prompt.prefix}{row['text']}{prompt.suffix}", return_tensors="pt")
        answer = model.generate(**inputs, max_new_tokens=8, do_sample=False)[
            0, inputs["input_ids"].shape[1] :
        ]
        if not tokenizer.decode(answer).strip().startswith(f"{row['label']}."):
            wrong.append(row["text"])
    return JudgeQuality(len(rows), 1 - len(wrong) / len(rows), tuple(wrong))
