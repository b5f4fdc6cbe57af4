"""Padded batches to exact windows: a CPU pays for every row of a batch and every token of its padding."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Run = Callable[[Mapping[str, Array]], Sequence[Array]]


def run_unpadded(run: Run, tensors: Mapping[str, Array], mask_name: str) -> list[Array]:
    """Outputs of `run` on each window by itself, without its padding.

    run: takes tensors [1, 1, tokens], gives outputs [1, 1, ...].
    tensors: [batch, windows, tokens] each; `mask_name` names the one that is 0 on padding, which
    stands behind a window's tokens.
    A window that equals the one before it in its row is not run again.
    Returns the outputs as [batch, windows, ...].
    """
    mask = tensors[mask_name]
    batch, windows, _ = mask.shape
    made: list[list[Sequence[Array]]] = []
    for row in range(batch):
        made.append([])
        for window in range(windows):
            if window > 0 and all(
                np.array_equal(tensor[row, window], tensor[row, window - 1]) for tensor in tensors.values()
            ):
                made[row].append(made[row][-1])
                continue
            tokens = unpadded_tokens(mask[row, window])
            made[row].append(
                run(
                    {
                        name: tensor[row : row + 1, window : window + 1, :tokens]
                        for name, tensor in tensors.items()
                    }
                )
            )
    if batch == windows == 1:
        return list(made[0][0])
    return [
        np.concatenate([np.concatenate([outputs[index] for outputs in row], axis=1) for row in made])
        for index in range(len(made[0][0]))
    ]


def unpadded_tokens(mask: Array) -> int:
    """Number of tokens up to the last that `mask` [tokens] shows; all of them where it shows none."""
    shown = np.flatnonzero(mask)
    return int(shown[-1]) + 1 if len(shown) else len(mask)
