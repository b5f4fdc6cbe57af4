"""Positions of sentences in a text, and splitting of long ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_repository.tokenizer.logic.sentences import fitting, sentences_of

HOSTILE = {
    "dots": "." * 65_536,
    "lines": "\n" * 65_536,
    "no spaces": "a" * 65_536,
    "short sentences": "A. B! " * 10_000,
    "paragraphs": "a\u2029" * 16_000,
    "combining marks": "\u0301" * 32_768,
    "emoji": "😀" * 16_384,
}


def shown(text: str, max_sentences: int = 256) -> list[str]:
    return [text[start:end] for start, end in sentences_of(text, max_sentences)]


def test_sentences_are_found_in_many_scripts() -> None:
    assert shown("Is it 3.5? Yes! It is.") == ["Is it 3.5?", "Yes!", "It is."]
    assert shown("你好。我来了！真的吗？") == ["你好。", "我来了！", "真的吗？"]
    assert shown("नमस्ते। मैं ठीक हूँ।") == ["नमस्ते।", "मैं ठीक हूँ।"]
    assert shown("One line\nanother line") == ["One line", "another line"]


def test_places_count_code_points() -> None:
    assert sentences_of("😀 e\u0301. Then 👩‍👩‍👧.", 256) == [(0, 5), (6, 17)]


@pytest.mark.parametrize("text", ["", " \n\t ", "\u2029"])
def test_a_text_without_letters_is_one_sentence(text: str) -> None:
    assert sentences_of(text, 256) == [(0, len(text))]


@given(st.text(st.sampled_from("aB .!?\n。😀\u0301\u2029"), max_size=200), st.integers(1, 8))
def test_everything_but_white_space_is_in_one_sentence_each(text: str, max_sentences: int) -> None:
    places = sentences_of(text, max_sentences)
    assert len(places) <= max_sentences
    assert places == sorted(places)
    covered = [index for start, end in places for index in range(start, end)]
    assert len(covered) == len(set(covered))
    assert all(text[index].isspace() for index in set(range(len(text))) - set(covered))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_have_few_sentences(name: str) -> None:
    assert len(sentences_of(HOSTILE[name], 256)) <= 256


def test_joined_sentences_are_short() -> None:
    text = "No. " * 16_000 + "I will find you and hurt you."
    start, end = sentences_of(text, 256)[-1]
    assert text[start:end].endswith("hurt you.")
    assert end - start <= 2 * len(text) / 256


@given(st.text(st.sampled_from("ab \n"), min_size=1, max_size=120), st.integers(1, 20))
def test_parts_fit_and_are_the_sentence(text: str, max_tokens: int) -> None:
    place = (0, len(text))
    parts = fitting(text, place, len, max_tokens)
    assert "".join(text[start:end] for start, end in parts) == text
    assert all(end - start <= max_tokens for start, end in parts)


def test_a_part_ends_at_white_space() -> None:
    parts = fitting("aaa bbb ccc ddd", (0, 15), len, 8)
    assert parts == [(0, 8), (8, 15)]


def test_a_character_of_many_tokens_is_one_part() -> None:
    assert fitting("﷽", (0, 1), lambda text: 20 * len(text), 8) == [(0, 1)]
