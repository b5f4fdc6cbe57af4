"""The tokenizer model's text handling, against transformers' own tokenizers."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_scripts.checkpoint import Checkpoint
from export_scripts.parity_texts import parity_texts
from model_repository.tokenizer.logic.encoding import InvalidText, TextEncoder, decode_texts


def rows(*texts: bytes) -> npt.NDArray[Any]:
    return np.array([[text] for text in texts], dtype=np.object_)


def test_decode_keeps_order_and_every_character() -> None:
    assert decode_texts(rows(b"", "é\x00👍".encode(), b"a"), max_text_bytes=16) == ["", "é\x00👍", "a"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"ab\xff", r"text\[1\] is not valid UTF-8: byte 2"),
        ("\ud800".encode("utf-8", "surrogatepass"), r"text\[1\] is not valid UTF-8"),
        (b"a" * 17, r"text\[1\] has 17 bytes; the limit is 16"),
    ],
)
def test_decode_names_the_row_and_the_limit(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidText, match=message):
        decode_texts(rows(b"good", raw), max_text_bytes=16)


def encoder(checkpoint: Checkpoint, *, max_tokens: int = 512, max_windows: int = 32) -> TextEncoder:
    return TextEncoder(
        checkpoint.serving_tokenizer(), max_tokens=max_tokens, overlap_tokens=4, max_windows=max_windows
    )


def test_ids_equal_transformers(checkpoint: Checkpoint) -> None:
    texts = parity_texts()
    for text, encoded in zip(texts, encoder(checkpoint, max_tokens=10_000).encode(texts), strict=True):
        assert encoded.windows == [checkpoint.tokenizer(text)["input_ids"]], repr(text)
        assert not encoded.truncated


def test_any_text_has_the_ids_of_transformers(checkpoint: Checkpoint) -> None:
    one = encoder(checkpoint)

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=80))
    def ids_are_equal(text: str) -> None:
        assert one.encode([text])[0].windows == [checkpoint.tokenizer(text)["input_ids"]]

    ids_are_equal()


def test_a_long_text_is_cut_into_framed_windows(checkpoint: Checkpoint) -> None:
    text = " ".join(f"{number} apples" for number in range(20))
    first, *ids, last = checkpoint.tokenizer(text)["input_ids"]
    (encoded,) = encoder(checkpoint, max_tokens=16).encode([text])
    assert len(encoded.windows) > 2
    assert all(window[0] == first and window[-1] == last for window in encoded.windows)
    assert {len(window) for window in encoded.windows} == {16}
    assert encoded.windows[0][1:-1] == ids[:14]
    assert encoded.windows[1][1:-1] == ids[10:24]
    assert encoded.windows[-1][1:-1] == ids[-14:]


def test_what_is_not_read_is_said(checkpoint: Checkpoint) -> None:
    long, short = encoder(checkpoint, max_tokens=16, max_windows=3).encode(["a " * 100, "a"])
    assert (len(long.windows), long.truncated) == (3, True)
    assert (len(short.windows), short.truncated) == (1, False)
