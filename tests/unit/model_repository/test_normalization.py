"""Normalization of obfuscated words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_repository.tokenizer.logic.normalization import normalized, normalizer

PLAIN = "I will kill you"


@pytest.mark.parametrize(
    "hidden",
    [
        "І wіll kіll уоu",
        "Ｉ ｗｉｌｌ ｋｉｌｌ ｙｏｕ",
        "𝐈 𝓌𝒾𝓁𝓁 𝔨𝔦𝔩𝔩 𝕪𝕠𝕦",
        "I w\u200bill ki\u00adll yo\u2060u",
        "I  w i l l  k.i.l.l  y-o-u",
        "I w_i_l_l k*i*l*l  y o u",
        "Í wïll kíll yòu",
        "I w̷i̸l̶l̵ k̷i̸l̶l̵ y̷o̸u̶",
    ],
)
def test_hidden_words_are_shown(hidden: str) -> None:
    assert normalized(hidden) == PLAIN


@pytest.mark.parametrize("text", [PLAIN, "SELECT a, b FROM t WHERE x = 1", "Plan B is a go", "x - y - zed"])
def test_plain_text_stays(text: str) -> None:
    assert normalized(text) == text


@given(st.text(max_size=200))
def test_any_text_has_a_normalized_form(text: str) -> None:
    normalized(text).encode()


def test_the_setting_is_read() -> None:
    assert normalizer("off") is None
    assert normalizer("on") is normalized
    with pytest.raises(ValueError, match="normalization is 'yes'; it must be one of off, on"):
        normalizer("yes")
