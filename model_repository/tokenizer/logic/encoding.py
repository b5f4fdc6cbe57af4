"""Text to windows of token ids: decodes bytes, checks the limit, encodes and splits texts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from .piece_ids import PieceIds
from .pieces import piece_pattern
from .windows import Window, Windowing

# Encode a special token that a caller typed as ordinary characters, or as the token itself.
SPECIAL_TOKENS_IN_TEXT = ("ordinary", "special")


class InvalidText(ValueError):
    """The caller's text cannot be encoded; the message names the row and the limit."""


def decode_texts(text: npt.NDArray[np.object_], max_text_bytes: int) -> list[str]:
    """Decode `text` BYTES [batch, 1] as UTF-8.

    Returns one string per row, in order.
    Raises InvalidText for a row above `max_text_bytes` bytes or with invalid UTF-8.
    """
    texts = []
    for row, raw in enumerate(text[:, 0]):
        if len(raw) > max_text_bytes:
            raise InvalidText(f"text[{row}] has {len(raw)} bytes; the limit is {max_text_bytes}")
        try:
            texts.append(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidText(f"text[{row}] is not valid UTF-8: byte {error.start} {error.reason}") from error
    return texts


@dataclass(frozen=True)
class EncodedText:
    """A text's windows of token ids, each with its special tokens, and whether its end is cut off."""

    windows: Sequence[Window]
    truncated: bool


class TextEncoder:
    """Encodes and windows texts for one encoder."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        max_tokens: int,
        overlap_tokens: int,
        max_windows: int,
        special_tokens_in_text: str,
    ) -> None:
        """tokenizer: with padding enabled, and one special token before and one after a text.

        max_tokens: of a window, including special tokens.
        special_tokens_in_text: one of SPECIAL_TOKENS_IN_TEXT.
        Raises ValueError for another value, a tokenizer with other special tokens, or impossible windows.
        """
        if special_tokens_in_text not in SPECIAL_TOKENS_IN_TEXT:
            raise ValueError(
                f"special_tokens_in_text is {special_tokens_in_text!r}; it must be one of "
                f"{', '.join(SPECIAL_TOKENS_IN_TEXT)}"
            )
        self.pad_id: int = tokenizer.padding["pad_id"]
        self._first, self._last = tokenizer.encode("").ids
        self._windowing = Windowing(max_tokens - 2, overlap_tokens, max_windows)
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = special_tokens_in_text == "ordinary"
        pattern = piece_pattern(json.loads(tokenizer.to_str()))
        ordinary = special_tokens_in_text == "ordinary"
        self._ids = PieceIds(pattern, self._tokenize).ids if pattern and ordinary else self._tokenize

    @property
    def content_tokens(self) -> int:
        """Tokens of a text in a full window, without special tokens."""
        return self._windowing.content_tokens

    @property
    def max_text_tokens(self) -> int:
        """Tokens of a text in all its windows, if they did not overlap."""
        return self._windowing.max_windows * self.content_tokens

    def ids(self, text: str) -> list[int]:
        """The token ids of `text`, without special tokens."""
        return self._ids(text)

    def _tokenize(self, text: str) -> list[int]:
        # Only the batch method can omit the offsets of tokens.
        (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        ids: list[int] = encoding.ids
        return ids

    def window(self, ids: Sequence[int]) -> Window:
        """The first tokens of `ids`, as many as fit, in one window."""
        return [self._first, *ids[: self.content_tokens], self._last]

    def windows(self, ids: Sequence[int]) -> EncodedText:
        """All windows of a text of these token ids."""
        starts, truncated = self._windowing.starts(len(ids))
        content = self.content_tokens
        return EncodedText([self.window(ids[start : start + content]) for start in starts], truncated)
