"""Text to token ids: bytes are decoded, checked against the limits, then encoded and padded."""

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer


class InvalidText(ValueError):
    """The caller's text cannot be encoded; the message names the row and the limit."""


def decode_texts(text: npt.NDArray[np.object_], max_text_bytes: int) -> list[str]:
    """Decode `text` BYTES [batch, 1] as UTF-8.

    Returns one string a row, in order.
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


def encode_texts(
    tokenizer: Tokenizer, texts: list[str], max_tokens: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Encode `texts` with a tokenizer whose padding is enabled, padding to the longest of them.

    Returns input_ids and attention_mask, both INT64 [batch, windows=1, tokens].
    Raises InvalidText for a row of more than `max_tokens` tokens, special tokens included.
    """
    encodings = tokenizer.encode_batch(texts)
    input_ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
    attention_mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
    lengths = attention_mask.sum(axis=1)
    for row in np.flatnonzero(lengths > max_tokens):
        raise InvalidText(f"text[{row}] has {lengths[row]} tokens; the limit is {max_tokens}")
    return input_ids[:, np.newaxis], attention_mask[:, np.newaxis]
