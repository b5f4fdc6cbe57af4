"""Only what has to be computed is computed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from launcher.backends.onnxruntime.logic.unpadding import (
    MAX_BATCH_TOKENS,
    group_by_length,
    run_unpadded,
    unpadded_tokens,
)

Array = npt.NDArray[Any]


class Summing:
    """A session that sums the ids of each window, and keeps what it was run on."""

    def __init__(self) -> None:
        self.runs: list[list[list[int]]] = []

    def __call__(self, tensors: Mapping[str, Array]) -> list[Array]:
        ids = tensors["input_ids"]
        assert ids.shape == tensors["attention_mask"].shape
        assert ids.flags["C_CONTIGUOUS"]
        assert (ids[tensors["attention_mask"] == 0] == 0).all()
        self.runs.append(ids[:, 0].tolist())
        return [ids.sum(axis=2, keepdims=True), ids[:, :, 0]]


LONG = {
    "input_ids": np.array([[[5, 6, 7], [6, 7, 8]], [[9, 0, 0], [9, 0, 0]]]),
    "attention_mask": np.array([[[1, 1, 1], [1, 1, 1]], [[1, 0, 0], [1, 0, 0]]]),
}
SHORT = {"input_ids": np.array([[[2, 3]]]), "attention_mask": np.array([[[1, 1]]])}


def test_each_window_runs_once_without_its_padding() -> None:
    run = Summing()
    ((sums, firsts),) = run_unpadded(run, [LONG], "attention_mask", None)
    assert sorted(run.runs) == [[[5, 6, 7]], [[6, 7, 8]], [[9]]]
    assert sums.tolist() == [[[18], [21]], [[9], [9]]]
    assert firsts.tolist() == [[5, 6], [9, 9]]


def test_windows_of_nearly_one_length_share_a_run_across_requests() -> None:
    run = Summing()
    (sums, firsts), (short_sums, short_firsts) = run_unpadded(run, [LONG, SHORT], "attention_mask", 1)
    assert run.runs == [[[9, 0], [2, 3]], [[5, 6, 7], [6, 7, 8]]]
    assert sums.tolist() == [[[18], [21]], [[9], [9]]]
    assert firsts.tolist() == [[5, 6], [9, 9]]
    assert (short_sums.tolist(), short_firsts.tolist()) == ([[[5]]], [[2]])


def test_a_shared_run_stays_small() -> None:
    assert group_by_length([MAX_BATCH_TOKENS] * 2, 4) == [[0], [1]]
    assert group_by_length([MAX_BATCH_TOKENS // 2] * 3, 4) == [[0, 1], [2]]
    assert group_by_length([12, 30, 16, 17], 4) == [[0, 2], [3], [1]]


def test_the_length_of_a_mask() -> None:
    masks = np.array([[[1, 1, 0], [0, 1, 0]], [[0, 0, 0], [1, 1, 1]]])
    assert unpadded_tokens(masks).tolist() == [[2, 2], [3, 3]]
