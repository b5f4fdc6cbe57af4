"""Joins requests into batches and splits the outputs: requests of the same shape share a run."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Tensors = Mapping[str, npt.NDArray[np.generic]]


def group_by_shape(requests: Sequence[Tensors]) -> list[list[int]]:
    """Indices of `requests`, grouped by shape without the batch axis."""
    if len(requests) == 1:
        return [[0]]
    groups = defaultdict(list)
    for index, tensors in enumerate(requests):
        groups[tuple((name, tensor.shape[1:]) for name, tensor in sorted(tensors.items()))].append(index)
    return list(groups.values())


def join(requests: Sequence[Tensors]) -> Tensors:
    """Concatenate tensors along the batch axis; a single request is passed on without a copy."""
    if len(requests) == 1:
        return requests[0]
    return {name: np.concatenate([tensors[name] for tensors in requests]) for name in requests[0]}


def split(
    outputs: Sequence[npt.NDArray[np.generic]], batch_sizes: Sequence[int]
) -> list[list[npt.NDArray[np.generic]]]:
    """Split each of `outputs` [batch, ...] by request; returns the pieces by request."""
    if len(batch_sizes) == 1:
        return [list(outputs)]
    ends = np.cumsum(batch_sizes)
    return [
        [output[end - size : end] for output in outputs] for size, end in zip(batch_sizes, ends, strict=True)
    ]
