"""The tokenizer model's text handling, against transformers' own tokenizers."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from encoding import InvalidText, decode_texts, encode_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from export_scripts.checkpoint import Checkpoint
from export_scripts.parity_texts import parity_texts


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


def test_ids_equal_transformers(checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.serving_tokenizer()
    for text in parity_texts():
        input_ids, attention_mask = encode_texts(tokenizer, [text], max_tokens=10_000)
        assert input_ids[0, 0].tolist() == checkpoint.tokenizer(text)["input_ids"], repr(text)
        assert attention_mask.all()


def test_any_text_has_the_ids_of_transformers(checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.serving_tokenizer()

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=80))
    def ids_are_equal(text: str) -> None:
        input_ids, _ = encode_texts(tokenizer, [text], max_tokens=10_000)
        assert input_ids[0, 0].tolist() == checkpoint.tokenizer(text)["input_ids"]

    ids_are_equal()


def test_a_batch_is_padded_to_its_own_longest_as_transformers_does(checkpoint: Checkpoint) -> None:
    texts = ["short", "a rather longer text than the first", ""]
    input_ids, attention_mask = encode_texts(checkpoint.serving_tokenizer(), texts, max_tokens=512)
    reference = checkpoint.tokenizer(texts, padding=True, return_tensors="np")
    assert input_ids.dtype == attention_mask.dtype == np.int64
    np.testing.assert_array_equal(input_ids[:, 0], reference["input_ids"])
    np.testing.assert_array_equal(attention_mask[:, 0], reference["attention_mask"])


def test_a_text_over_the_limit_is_refused_not_cut(checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.serving_tokenizer()
    ids, _ = encode_texts(tokenizer, ["a" + " a" * 509], max_tokens=512)
    assert ids.shape[2] == 512
    with pytest.raises(InvalidText, match=r"text\[1\] has 513 tokens; the limit is 512"):
        encode_texts(tokenizer, ["good", "a" + " a" * 510], max_tokens=512)
