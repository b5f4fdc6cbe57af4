"""Padded batches to exact windows: a CPU pays for every token of padding.

A run of an encoder costs as much as about 7 tokens by itself, so short windows of nearly the same
length run together.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Run = Callable[[Mapping[str, Array]], Sequence[Array]]
# A longer batch gains nothing more.
MAX_BATCH_TOKENS = 96


def run_unpadded(
    run: Run, requests: Sequence[Mapping[str, Array]], mask_name: str, max_padding_tokens: int | None
) -> list[list[Array]]:
    """Outputs of `run` for each of `requests`, whose windows run without the padding that they came with.

    run: takes tensors [batch, 1, tokens], gives outputs [batch, 1, ...].
    requests: tensors [batch, windows, tokens] each; `mask_name` names the one that is 0 on padding,
    which stands behind a window's tokens.
    max_padding_tokens: windows that need no more than this to be of one length share a run; None
    runs each window alone.
    A window that equals the one before it in its row is not run again.
    Returns for each request its outputs [batch, windows, ...].
    """
    found: list[Mapping[str, Array]] = []
    places = []
    for tensors in requests:
        place = []
        for row, tokens_by_window in enumerate(unpadded_tokens(tensors[mask_name]).tolist()):
            for window, tokens in enumerate(tokens_by_window):
                if window == 0 or any(
                    not np.array_equal(tensor[row, window], tensor[row, window - 1])
                    for tensor in tensors.values()
                ):
                    found.append({name: tensor[row, window, :tokens] for name, tensor in tensors.items()})
                place.append(len(found) - 1)
        places.append(place)
    made: list[Sequence[Array]] = [()] * len(found)
    for group in group_by_length([len(window[mask_name]) for window in found], max_padding_tokens):
        outputs = run(pad([found[index] for index in group]))
        for position, index in enumerate(group):
            made[index] = [output[position] for output in outputs]
    return [
        [
            np.concatenate([made[index][output] for index in place]).reshape(
                *tensors[mask_name].shape[:2], *made[0][output].shape[1:]
            )
            for output in range(len(made[0]))
        ]
        for tensors, place in zip(requests, places, strict=True)
    ]


def group_by_length(lengths: Sequence[int], max_padding_tokens: int | None) -> list[list[int]]:
    """Indices of `lengths` in groups that differ by at most `max_padding_tokens`; None: one in each."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if (
            max_padding_tokens is not None
            and groups
            and lengths[index] - lengths[groups[-1][0]] <= max_padding_tokens
            and lengths[index] * (len(groups[-1]) + 1) <= MAX_BATCH_TOKENS
        ):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def pad(windows: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Tensors [tokens] of each window as tensors [batch, 1, tokens], zero behind the shorter ones."""
    if len(windows) == 1:
        return {name: tensor[None, None] for name, tensor in windows[0].items()}
    padded = {}
    for name, first in windows[0].items():
        padded[name] = np.zeros((len(windows), 1, max(len(window[name]) for window in windows)), first.dtype)
        for row, window in enumerate(windows):
            padded[name][row, 0, : len(window[name])] = window[name]
    return padded


def unpadded_tokens(mask: Array) -> npt.NDArray[np.intp]:
    """Tokens up to the last that each row of `mask` [..., tokens] shows; all of them where it shows none."""
    tokens: npt.NDArray[np.intp] = mask.shape[-1] - np.argmax(mask[..., ::-1] != 0, axis=-1)
    return tokens
