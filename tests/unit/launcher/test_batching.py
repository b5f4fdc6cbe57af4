"""Grouping of requests into runs."""

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.onnxruntime.logic.batching import Tensors, group_by_shape, join, split


def request(batch: int, tokens: int, fill: int = 0) -> dict[str, npt.NDArray[Any]]:
    return {
        "input_ids": np.full((batch, 1, tokens), fill),
        "attention_mask": np.ones((batch, 1, tokens), dtype=np.int64),
    }


def test_only_requests_of_one_shape_share_a_run() -> None:
    requests = [request(1, 8), request(3, 9), request(2, 8), request(1, 9)]
    assert group_by_shape(requests) == [[0, 2], [1, 3]]


def test_a_single_request_is_not_copied() -> None:
    only = request(2, 4)
    assert join([only])["input_ids"] is only["input_ids"]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=8))
def test_every_request_gets_its_own_rows_back(shapes: list[tuple[int, int]]) -> None:
    requests: list[Tensors] = [request(batch, tokens, fill) for fill, (batch, tokens) in enumerate(shapes)]
    answered: dict[int, list[npt.NDArray[Any]]] = {}
    for group in group_by_shape(requests):
        members = [requests[index] for index in group]
        outputs = [join(members)["input_ids"]]
        pieces = split(outputs, [len(tensors["input_ids"]) for tensors in members])
        answered.update(zip(group, pieces, strict=True))
    for index, tensors in enumerate(requests):
        np.testing.assert_array_equal(answered[index][0], tensors["input_ids"])
