"""Splitting of texts into windows, and batches of windows."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_repository.tokenizer.logic.windows import TooManyWindows, Windowing, WindowLimits, pad_batch

CONTENT, OVERLAP = 510, 64


@given(st.integers(0, 40 * CONTENT), st.integers(1, 32))
def test_windows_cover_a_text_in_order(tokens: int, max_windows: int) -> None:
    starts, truncated = Windowing(CONTENT, OVERLAP, max_windows).starts(tokens)
    assert starts[0] == 0
    assert len(starts) <= max_windows
    for earlier, later in itertools.pairwise(starts):
        assert earlier < later <= earlier + CONTENT - OVERLAP
    reached = starts[-1] + CONTENT
    assert truncated is (reached < tokens)
    if len(starts) > 1 and not truncated:
        assert reached == tokens


@pytest.mark.parametrize(
    ("tokens", "expected"), [(510, [0]), (511, [0, 1]), (956, [0, 446]), (957, [0, 446, 447])]
)
def test_the_last_window_is_shifted_back(tokens: int, expected: list[int]) -> None:
    assert Windowing(CONTENT, OVERLAP, 32).starts(tokens) == (expected, False)


@pytest.mark.parametrize(("overlap", "windows"), [(510, 32), (-1, 32), (64, 0)])
def test_a_windowing_that_never_ends_is_refused(overlap: int, windows: int) -> None:
    with pytest.raises(ValueError, match="never reaches the end"):
        Windowing(CONTENT, overlap, windows)


def test_a_batch_is_padded_to_its_longest_and_filled_with_windows_without_tokens() -> None:
    ids, mask = pad_batch([[[5, 6, 7], [6, 7, 8]], [[9]]], pad_id=1)
    assert ids.dtype == mask.dtype == np.int32
    assert ids.tolist() == [[[5, 6, 7], [6, 7, 8]], [[9, 1, 1], [1, 1, 1]]]
    assert mask.tolist() == [[[1, 1, 1], [1, 1, 1]], [[1, 0, 0], [0, 0, 0]]]


def test_lengths_go_up_in_steps() -> None:
    ids, mask = pad_batch([[[5, 6, 7]]], pad_id=1, pad_to_multiple_of=4)
    assert ids.tolist() == [[[5, 6, 7, 1]]]
    assert mask.tolist() == [[[1, 1, 1, 0]]]


def test_the_windows_of_a_request_have_a_limit() -> None:
    limits = WindowLimits(max_request_windows=128, max_padded_windows=512)
    limits.check_sum(128, texts=64)
    with pytest.raises(
        TooManyWindows, match=r"the first 5 texts of the request have 129 windows.* have 128: send"
    ):
        limits.check_sum(129, texts=5)


@pytest.mark.parametrize(("texts", "windows"), [(64, 8), (32, 16), (16, 32), (1, 32), (64, 1)])
def test_padding_counts_windows_as_powers_of_two(texts: int, windows: int) -> None:
    limits = WindowLimits(128, max_padded_windows=texts * windows)
    limits.check_padding(texts, windows)
    with pytest.raises(
        TooManyWindows, match=f"count as {texts + 1} x {windows} = .*may have {texts * windows}:"
    ):
        limits.check_padding(texts + 1, windows)
    with pytest.raises(TooManyWindows, match=f"count as {texts} x {2 * windows} = "):
        limits.check_padding(texts, windows + 1)
