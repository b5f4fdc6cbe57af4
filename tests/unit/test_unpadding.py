"""Only what has to be computed is computed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from unpadding import run_unpadded, unpadded_tokens

Array = npt.NDArray[Any]


def test_each_window_runs_once_without_its_padding() -> None:
    runs: list[list[int]] = []

    def run(tensors: Mapping[str, Array]) -> list[Array]:
        ids = tensors["input_ids"]
        assert ids.shape == tensors["attention_mask"].shape
        assert tensors["attention_mask"].all()
        assert ids.flags["C_CONTIGUOUS"]
        runs.append(ids[0, 0].tolist())
        return [np.array([[[ids.sum(), len(ids[0, 0])]]]), ids[:, :, 0]]

    ids = np.array([[[5, 6, 7], [6, 7, 8]], [[9, 0, 0], [9, 0, 0]]])
    mask = np.array([[[1, 1, 1], [1, 1, 1]], [[1, 0, 0], [1, 0, 0]]])
    sums, firsts = run_unpadded(run, {"input_ids": ids, "attention_mask": mask}, "attention_mask")
    assert runs == [[5, 6, 7], [6, 7, 8], [9]]
    assert sums.tolist() == [[[18, 3], [21, 3]], [[9, 1], [9, 1]]]
    assert firsts.tolist() == [[5, 6], [9, 9]]


def test_the_length_of_a_mask() -> None:
    assert unpadded_tokens(np.array([1, 1, 0])) == 2
    assert unpadded_tokens(np.array([0, 1, 0])) == 2
    assert unpadded_tokens(np.array([0, 0])) == 2
