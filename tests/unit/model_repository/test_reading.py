"""The encoders' input for a text: its windows, its sentences, and its normalized form."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_scripts.hub_models import ENCODERS
from model_repository.tokenizer.logic.encoding import TextEncoder
from model_repository.tokenizer.logic.normalization import normalized
from model_repository.tokenizer.logic.reading import NO_PLACE, Reader, Reading, places_tensor
from model_repository.tokenizer.logic.windows import FORMS, TooManyWindows, WindowLimits
from tests.conftest import demo_checkpoint

NO_LIMITS = WindowLimits(max_request_windows=10**6, max_padded_windows=10**6)
MAX_WINDOWS = 3
LONG = "a " * 100
TWO = "The bread is fresh. The sun shines."


def encoders(max_tokens: int) -> dict[str, TextEncoder]:
    return {
        name: TextEncoder(
            demo_checkpoint(name).serving_tokenizer(),
            max_tokens=max_tokens,
            overlap_tokens=4,
            max_windows=MAX_WINDOWS,
            special_tokens_in_text="ordinary",
        )
        for name in ENCODERS
    }


def reader(
    *,
    max_tokens: int = 16,
    max_sentences: int = 256,
    limits: WindowLimits = NO_LIMITS,
    normalize: Callable[[str], str] | None = None,
) -> Reader:
    return Reader(encoders(max_tokens), normalize=normalize, max_sentences=max_sentences, limits=limits)


def read(one: Reader, text: str, *, spans: bool = True) -> Reading:
    (reading,) = one.read([text], [spans])
    return reading


def test_a_text_alone_is_read_in_its_windows() -> None:
    reading = read(reader(), LONG, spans=False)
    assert reading.text_windows == 3
    assert reading.truncated
    assert not reading.sentences
    assert {name: len(windows) for name, windows in reading.windows.items()} == dict.fromkeys(ENCODERS, 3)


@pytest.mark.parametrize("name", ENCODERS)
def test_sentences_stand_before_the_windows_of_the_text(name: str) -> None:
    encoder = encoders(64)[name]
    reading = read(reader(max_tokens=64), TWO)
    assert [TWO[start:end] for start, end in reading.sentences] == ["The bread is fresh.", "The sun shines."]
    parts = ("The bread is fresh.", "The sun shines.", TWO)
    assert reading.windows[name] == [encoder.window(encoder.ids(part)) for part in parts]
    assert (reading.text_windows, reading.truncated) == (1, False)


def test_without_spans_nothing_else_is_read() -> None:
    with_spans, without = (read(reader(max_tokens=64), TWO, spans=spans) for spans in (True, False))
    for name in ENCODERS:
        assert list(with_spans.windows[name])[-1:] == without.windows[name]


def test_a_long_sentence_is_read_in_parts() -> None:
    text = "many words " * 10
    reading = read(reader(), text)
    assert len(reading.sentences) > 1
    assert "".join(text[start:end] for start, end in reading.sentences) == text.strip()
    for windows in reading.windows.values():
        assert max(len(window) for window in windows) <= 16


def test_sentences_beyond_the_tokens_of_all_windows_are_not_read() -> None:
    reading = read(reader(), "Few words. " * 20)
    assert 0 < len(reading.sentences) < 20
    assert reading.truncated


@given(st.text(st.sampled_from("ａ b.\n"), max_size=300), st.booleans())
def test_a_text_has_only_so_many_windows(text: str, normalize: bool) -> None:
    most = FORMS * (MAX_WINDOWS + 8)
    one = reader(normalize=normalized if normalize else None, max_sentences=8)
    for windows in read(one, text).windows.values():
        assert len(windows) <= most


def test_the_normalized_form_is_read_beside_the_text() -> None:
    plain, hidden = "Kill them.", "Ｋｉｌｌ ｔｈｅｍ."
    of_plain, of_hidden = (
        read(reader(max_tokens=64, normalize=normalized), text) for text in (plain, hidden)
    )
    assert of_plain.sentences == [(0, len(plain))]
    assert of_hidden.sentences == [(0, len(hidden))] * 2
    for name, encoder in encoders(64).items():
        original, other = (encoder.window(encoder.ids(text)) for text in (hidden, plain))
        assert of_hidden.windows[name] == [original, other, original, other]
        assert of_plain.windows[name] == [other, other]
    assert of_hidden.text_windows == 1


def test_a_request_of_too_many_windows_is_refused_before_its_end() -> None:
    texts, asked = [LONG] * 4, [False] * 4
    few = WindowLimits(max_request_windows=12, max_padded_windows=16)
    assert [reading.text_windows for reading in reader(limits=few).read(texts, asked)] == [3, 3, 3, 3]
    fewer = WindowLimits(max_request_windows=8, max_padded_windows=16)
    with pytest.raises(TooManyWindows, match=r"first 3 texts of the request have 9 windows; .* may have 8"):
        reader(limits=fewer).read(texts, asked)


def test_sentences_count_as_windows() -> None:
    limits = WindowLimits(max_request_windows=2, max_padded_windows=16)
    with pytest.raises(TooManyWindows, match="first 1 texts of the request have 3 windows"):
        read(reader(max_tokens=64, limits=limits), TWO)


def test_a_request_that_padding_makes_too_large_is_refused() -> None:
    limited = reader(limits=WindowLimits(max_request_windows=12, max_padded_windows=8))
    assert len(limited.read([LONG, "a"], [False, False])) == 2
    with pytest.raises(TooManyWindows, match="3 texts of up to 3 windows count as 3 x 4 = 12 windows"):
        limited.read([LONG, "a", "a"], [False] * 3)


def test_places_of_a_batch_are_padded() -> None:
    places = places_tensor(reader(max_tokens=64).read([TWO, "a", TWO], [True, True, False]))
    assert places.dtype == "int32"
    assert places.tolist() == [
        [[0, 19], [20, 35]],
        [[0, 1], list(NO_PLACE)],
        [list(NO_PLACE)] * 2,
    ]
    assert places_tensor(reader().read(["a"], [False])).tolist() == [[list(NO_PLACE)]]
