"""The tokenizer model's encoding, compared with transformers' tokenizers."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_scripts.checkpoint import Checkpoint
from export_scripts.parity_texts import parity_texts, texts_with_special_tokens
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


def encoder(
    checkpoint: Checkpoint,
    *,
    max_tokens: int = 512,
    max_windows: int = 32,
    special_tokens_in_text: str = "ordinary",
) -> TextEncoder:
    return TextEncoder(
        checkpoint.serving_tokenizer(),
        max_tokens=max_tokens,
        overlap_tokens=4,
        max_windows=max_windows,
        special_tokens_in_text=special_tokens_in_text,
    )


def ids_of(one: TextEncoder, text: str) -> list[int]:
    """The ids of a text of one window."""
    (window,) = one.windows(one.ids(text)).windows
    return list(window)


def test_ids_equal_transformers(checkpoint: Checkpoint) -> None:
    texts = parity_texts() + texts_with_special_tokens(checkpoint.tokenizer.all_special_tokens)
    one = encoder(checkpoint, max_tokens=10_000)
    for text in texts:
        assert ids_of(one, text) == checkpoint.input_ids(text), repr(text)


def test_any_text_has_the_ids_of_transformers(checkpoint: Checkpoint) -> None:
    one = encoder(checkpoint)

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=80))
    def ids_are_equal(text: str) -> None:
        assert ids_of(one, text) == checkpoint.input_ids(text)

    ids_are_equal()


def test_a_special_token_in_a_text_is_ordinary_characters(checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.tokenizer
    # A vocabulary without a character such as `[` gives the unknown token for it.
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    one = encoder(checkpoint, max_tokens=10_000)
    for text in texts_with_special_tokens(checkpoint.tokenizer.all_special_tokens):
        first, *content, last = ids_of(one, text)
        assert {first, last} <= special
        assert not special & set(content), repr(text)


def test_the_literal_mode_is_that_of_the_model_cards(checkpoint: Checkpoint) -> None:
    literal = encoder(checkpoint, max_tokens=10_000, special_tokens_in_text="special")
    ordinary = encoder(checkpoint, max_tokens=10_000)
    for text in texts_with_special_tokens(checkpoint.tokenizer.all_special_tokens):
        assert ids_of(literal, text) == checkpoint.tokenizer(text)["input_ids"], repr(text)
        assert ids_of(literal, text) != ids_of(ordinary, text)


def test_an_unknown_way_to_encode_special_tokens_is_named(checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match="special_tokens_in_text is 'split'; it must be one of ordinary, "):
        encoder(checkpoint, special_tokens_in_text="split")


def test_a_long_text_is_cut_into_framed_windows(checkpoint: Checkpoint) -> None:
    text = " ".join(f"{number} apples" for number in range(20))
    first, *ids, last = checkpoint.input_ids(text)
    one = encoder(checkpoint, max_tokens=16)
    encoded = one.windows(one.ids(text))
    assert len(encoded.windows) > 2
    assert all(window[0] == first and window[-1] == last for window in encoded.windows)
    assert {len(window) for window in encoded.windows} == {16}
    assert encoded.windows[0][1:-1] == ids[:14]
    assert encoded.windows[1][1:-1] == ids[10:24]
    assert encoded.windows[-1][1:-1] == ids[-14:]


def test_a_truncated_text_is_reported(checkpoint: Checkpoint) -> None:
    three_windows = encoder(checkpoint, max_tokens=16, max_windows=3)
    long, short = (three_windows.windows(three_windows.ids(text)) for text in ("a " * 100, "a"))
    assert (len(long.windows), long.truncated) == (3, True)
    assert (len(short.windows), short.truncated) == (1, False)
