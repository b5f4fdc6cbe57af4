"""Ends of sentences, and doubtful ends."""

import itertools

import pytest
from tribunal.guard.sentences import sentence_ends


def split(text: str, *, in_doubt: bool = False) -> list[str]:
    bounds = [0, *sentence_ends(text, 0, len(text), in_doubt=in_doubt), len(text)]
    return [text[first:last] for first, last in itertools.pairwise(bounds)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["One is here. ", "Two is there! ", "Three?"],
        ['She said "enough." ', "Then (she left.) ", "**It ended.** ", "So."],
        ["你好。", "再见！」", "好"],
        ["क्या यह सच है। ", "हाँ"],
        ["A heading without an end\n\n", "a paragraph"],
    ],
)
def test_sentences_end_where_the_next_begins(sentences: list[str]) -> None:
    assert split("".join(sentences)) == sentences


@pytest.mark.parametrize(
    "sentence",
    [
        "Ask Dr. Smith about the U.S. Army.",
        "It costs 3.14 dollars, e.g. No. 7 does.",
        "See point 2. Then go on",
        "wrapped at\nthe margin",
        "he said... nothing",
        "The end has come. ",
    ],
)
def test_a_doubtful_end_is_no_end(sentence: str) -> None:
    assert split(sentence) == [sentence]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Ask Dr. ", "Smith."],
        ["It is over. ", "you will see"],
        ["wrapped at\n", "the margin"],
        ["One. ", "Two"],
    ],
)
def test_a_sentence_may_end_in_doubt_where_that_is_asked_for(sentences: list[str]) -> None:
    assert split("".join(sentences), in_doubt=True) == sentences


@pytest.mark.parametrize("unit", [".", "\n", " .\n", "。", '."', "。」", "a. "])
@pytest.mark.timeout(20)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * 300_000
    assert all(0 < end <= len(text) for end in sentence_ends(text, 0, len(text)))


def test_ends_outside_the_range_are_not_given() -> None:
    text = "One is here. Two is there. Three is gone. Four"
    assert list(sentence_ends(text, 0, len(text))) == [13, 27, 42]
    assert list(sentence_ends(text, 13, 41)) == [27]
    assert list(sentence_ends(text, 13, 42)) == [27, 42]
