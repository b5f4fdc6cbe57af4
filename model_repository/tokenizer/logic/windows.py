"""Long texts as overlapping windows, limits on a request's windows, and its windows as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Window = Sequence[int]
# A text is read in its original form, and optionally in normalized form.
FORMS = 2


class TooManyWindows(ValueError):
    """The texts of a request have too many windows; the message names the number and the limit."""


@dataclass(frozen=True)
class Windowing:
    """Splits a text's tokens into windows.

    content_tokens: tokens of the text in a full window, without special tokens.
    overlap_tokens: minimum of tokens that a window shares with the one before it.
    max_windows: the rest of a text is not read.
    """

    content_tokens: int
    overlap_tokens: int
    max_windows: int

    def __post_init__(self) -> None:
        if not 0 <= self.overlap_tokens < self.content_tokens or self.max_windows < 1:
            raise ValueError(f"{self} never reaches the end of a text")

    def starts(self, tokens: int) -> tuple[list[int], bool]:
        """First token of each window of a text of `tokens` tokens, and whether its end is cut off.

        The last window is shifted back so that it is as long as the others.
        """
        last = tokens - self.content_tokens
        if last <= 0:
            return [0], False
        stride = self.content_tokens - self.overlap_tokens
        starts = [*range(0, last, stride), last]
        if len(starts) > self.max_windows:
            return [index * stride for index in range(self.max_windows)], True
        return starts, False


@dataclass(frozen=True)
class WindowLimits:
    """Limits on the windows of one request.

    max_request_windows: of all texts together, without padding.
    max_padded_windows: number of texts times the most windows of any text, rounded up to a power of two.
    """

    max_request_windows: int
    max_padded_windows: int

    def check_sum(self, windows: int, texts: int) -> None:
        """Raise TooManyWindows if the first `texts` of a request together have too many `windows`."""
        if windows > self.max_request_windows:
            raise TooManyWindows(
                f"the first {texts} texts of the request have {windows} windows; a request may have "
                f"{self.max_request_windows}: send long texts in smaller requests"
            )

    def check_padding(self, texts: int, most_windows: int) -> None:
        """Raise TooManyWindows if `texts` of up to `most_windows` are padded to too many."""
        counted = 1 << (most_windows - 1).bit_length()
        if texts * counted > self.max_padded_windows:
            raise TooManyWindows(
                f"{texts} texts of up to {most_windows} windows count as {texts} x {counted} = "
                f"{texts * counted} windows; a request may have {self.max_padded_windows}: "
                "send long texts in smaller requests"
            )


def pad_batch(
    rows: Sequence[Sequence[Window]], *, pad_id: int, pad_to_multiple_of: int = 1
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Tensors of a batch whose rows have windows of different numbers and lengths.

    Returns input_ids and attention_mask, both INT32 [batch, windows, tokens]. Windows are padded to
    the longest of the batch, rounded up to `pad_to_multiple_of`; a row with fewer windows than the
    longest is filled with windows without tokens.
    """
    windows = max(len(row) for row in rows)
    longest = max(len(window) for row in rows for window in row)
    tokens = -(-longest // pad_to_multiple_of) * pad_to_multiple_of
    input_ids = np.full((len(rows), windows, tokens), pad_id, dtype=np.int32)
    lengths = np.zeros((len(rows), windows, 1), dtype=np.int32)
    for index, row in enumerate(rows):
        for position, window in enumerate(row):
            input_ids[index, position, : len(window)] = window
            lengths[index, position] = len(window)
    return input_ids, (np.arange(tokens, dtype=np.int32) < lengths).astype(np.int32)
