"""The export's reference scores of an encoder, and the comparison of served logits with them.

The export writes them into the manifest as `self_check` of each encoder: token ids of a few texts, and the
scores that PyTorch computes in fp32, by the name of the label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from launcher import StartError

Activation = Literal["softmax", "sigmoid"]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
# TF32 and fp16 keep 10 bits of a fraction. The export measures on a CPU, which computes in fp32.
GPU_TOLERANCE = 0.01
# Shape [batch, windows] of the requests that ask for the texts.
REQUEST_SHAPES = ((1, 1), (1, 4), (3, 1), (4, 2))


@dataclass(frozen=True)
class Outcome:
    """The result of one check.

    texts: number of compared texts. score_difference: largest difference of a score.
    tolerance: largest difference that passes. label: the label with the largest difference.
    """

    texts: int
    score_difference: float
    tolerance: float
    label: str

    @property
    def passed(self) -> bool:
        """Whether every score is within the tolerance."""
        return self.score_difference <= self.tolerance

    def as_dict(self) -> dict[str, Any]:
        """The figures for callers."""
        return {
            "texts": self.texts,
            "score_difference": self.score_difference,
            "tolerance": self.tolerance,
        }


@dataclass(frozen=True)
class Reference:
    """What one encoder must answer.

    labels: names in the order of the logits. input_ids: token ids of each text, special tokens included.
    scores: FP32 [texts, labels].
    alone: a request has a single text, because texts in one request change each other's scores.
    """

    activation: Activation
    tolerance: float
    labels: tuple[str, ...]
    input_ids: tuple[tuple[int, ...], ...]
    scores: Floats
    alone: bool = False

    def compare(self, logits: Floats, *, on_gpu: bool = False) -> Outcome:
        """Compare the scores of `logits` FP32 [texts, labels] with the references.

        on_gpu: allow a difference of at least GPU_TOLERANCE. The difference is infinite if a logit is not
        finite or the number of labels is another.
        """
        tolerance = max(self.tolerance, GPU_TOLERANCE) if on_gpu else self.tolerance
        texts = len(self.input_ids)
        if logits.shape != self.scores.shape:
            return Outcome(texts, float("inf"), tolerance, f"one of {logits.shape[-1]} labels")
        differences = np.abs(activate(logits, self.activation) - self.scores).max(axis=0)
        differences = np.where(np.isnan(differences), np.inf, differences)
        worst = int(differences.argmax())
        return Outcome(texts, float(differences[worst]), tolerance, self.labels[worst])


def activate(logits: Floats, activation: Activation) -> Floats:
    """Scores of `logits`, both FP32 [texts, labels]; NaN where a logit is not finite."""
    known = np.where(np.isfinite(logits), logits.astype(np.float64), np.nan)
    if activation == "sigmoid":
        scores = 1 / (1 + np.exp(-np.clip(known, -500, 500)))
    else:
        shares = np.exp(known - known.max(axis=-1, keepdims=True))
        scores = shares / shares.sum(axis=-1, keepdims=True)
    return np.asarray(scores, dtype=np.float32)


def read_references(manifest: Mapping[str, Any]) -> dict[str, Reference]:
    """The references of each encoder that has some, by its name.

    Raises StartError if they cannot be read, or do not have a score of each of the model's labels.
    """
    return {
        name: _read_reference(name, model)
        for name, model in manifest["models"].items()
        if "self_check" in model
    }


def _read_reference(name: str, model: Mapping[str, Any]) -> Reference:
    try:
        entry, labels = model["self_check"], tuple(model["labels"])
        if entry["activation"] not in ("softmax", "sigmoid"):
            raise ValueError(entry["activation"])
        if any(set(text["scores"]) != set(labels) for text in entry["texts"]) or not entry["texts"]:
            raise ValueError("the scores are not those of the labels")
        return Reference(
            activation=entry["activation"],
            tolerance=float(entry["tolerance"]),
            labels=labels,
            input_ids=tuple(tuple(map(int, text["input_ids"])) for text in entry["texts"]),
            scores=np.array(
                [[text["scores"][label] for label in labels] for text in entry["texts"]], np.float32
            ),
            # The scales of int8 are those of a whole run, and only the loop gives each window its own run.
            alone=model.get("precision") == "int8" and model.get("graph") == "padded",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StartError(
            f"self_check of {name} in the manifest is damaged ({error!r}): export the model again"
        ) from error


def request_tensors(texts: Sequence[Sequence[int]], windows: int = 1) -> tuple[Ints, Ints]:
    """`input_ids` and `attention_mask`, INT32 [batch, windows, tokens], of one request.

    texts: token ids of each window, `windows` of them for each text of the batch.
    """
    longest = max(map(len, texts))
    ids, mask = (np.zeros((len(texts), longest), np.int32) for _ in range(2))
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    shape = (-1, windows, longest)
    return ids.reshape(shape), mask.reshape(shape)


def plan_requests(order: Sequence[int], *, alone: bool = False) -> list[tuple[list[int], int]]:
    """Distribute texts over requests: for each the numbers of its texts, and the windows of a batch row.

    order: numbers of all texts, in the order in which to ask. alone: each text has a request of its own.
    """
    if alone:
        return [([number], 1) for number in order]
    requests: list[tuple[list[int], int]] = []
    rest, shapes = list(order), list(REQUEST_SHAPES)
    while rest:
        batch, windows = shapes.pop(0) if shapes else (1, 1)
        if batch * windows > len(rest):
            batch, windows = len(rest), 1
        requests.append((rest[: batch * windows], windows))
        rest = rest[batch * windows :]
    return requests
