"""The ids of a text are those of its pieces, for every character and in every neighbourhood tried."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from export_scripts.demo.text import read_text
from export_scripts.hub_models import ENCODERS
from export_scripts.sources import DEMO_WEIGHTS
from model_repository.tokenizer.logic.piece_ids import GENERATION_PIECES, PieceIds
from model_repository.tokenizer.logic.pieces import piece_pattern

CODE_POINTS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
# Each has a place for a character between letters, digits, contractions, punctuation or white space.
CONTEXTS = ("a{0}b", " {0}", "{0} ", "9{0}'ll ", "..{0}\n\n", "é{0}e\u0301{0}")
# Of the rarer characters, each context has one in so many.
RARE_STRIDE = 29
HOSTILE = "aZéßİſΣςⅣ９𝟗中ก̈\u0301\u200b\u200d\ufeff\u00a0\u2028\x1c\x85\t\n\r '’.,!?-_[]<>|\u0000🏽👩🇩"
Encode = Callable[[str], list[int]]


@pytest.fixture(scope="module", params=ENCODERS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    read = Tokenizer.from_file(str(DEMO_WEIGHTS / request.param / "tokenizer.json"))
    read.no_padding()
    read.no_truncation()
    read.encode_special_tokens = True
    return read


def encoder(tokenizer: Tokenizer) -> Encode:
    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    return encode


def pattern(tokenizer: Tokenizer) -> re.Pattern[str]:
    found = piece_pattern(json.loads(tokenizer.to_str()))
    assert found is not None
    return found


def require_equal(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Compare the ids of texts with those of their pieces, one after another."""
    pieces = list(map(pattern(tokenizer).findall, texts))
    distinct = sorted({piece for of_text in pieces for piece in of_text})
    read = tokenizer.encode_batch_fast(distinct, add_special_tokens=False)
    ids = {piece: encoding.ids for piece, encoding in zip(distinct, read, strict=True)}
    whole = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    for text, of_text, encoding in zip(texts, pieces, whole, strict=True):
        assert [token for piece in of_text for token in ids[piece]] == encoding.ids, repr(text)


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_character_is_read_as_in_its_text(tokenizer: Tokenizer, context: str) -> None:
    frequent = CODE_POINTS[:0x3000]
    rare = CODE_POINTS[0x3000 + CONTEXTS.index(context) :: RARE_STRIDE]
    require_equal(tokenizer, [context.format(character) for character in (*frequent, *rare)])


def test_mixed_texts_are_read_as_a_whole(tokenizer: Tokenizer) -> None:
    rng = random.Random(11)  # noqa: S311
    sentences = [text for encoder in ENCODERS.values() for text in read_text(encoder, "train")[0]]
    texts = []
    for _ in range(20_000):
        words = " ".join(rng.choices(sentences, k=2)).split(" ")
        for _ in range(rng.randrange(6)):
            place = rng.randrange(len(words))
            words[place] += "".join(rng.choices(HOSTILE, k=rng.randrange(1, 5)))
        texts.append(rng.choice((" ", "  ", "\n", "")).join(words))
    require_equal(tokenizer, texts)


@given(
    texts=st.lists(
        st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from(HOSTILE))), max_size=20
    )
)
@settings(deadline=None)
def test_looked_up_ids_are_those_of_the_tokenizer(tokenizer: Tokenizer, texts: list[str]) -> None:
    encode = encoder(tokenizer)
    pieces = PieceIds(pattern(tokenizer), encode)
    for text in texts * 2:
        assert pieces.ids(text) == encode(text)
        assert pieces.ids(f"The {text} is fresh. The bread is fresh, and {text}") == encode(
            f"The {text} is fresh. The bread is fresh, and {text}"
        )


def test_the_number_of_kept_pieces_is_bounded() -> None:
    asked: list[str] = []

    def encode(text: str) -> list[int]:
        asked.append(text)
        return [len(text)]

    pieces = PieceIds(re.compile(r"\S+"), encode)
    for number in range(3 * GENERATION_PIECES):
        pieces.ids(str(number))
    assert len(pieces._young) + len(pieces._old) <= 2 * GENERATION_PIECES
    asked.clear()
    pieces.ids(str(3 * GENERATION_PIECES - 1))
    pieces.ids("0")
    assert asked == ["0"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rejection", {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}}),
        ("rejection", {"pre_tokenizer": {"type": "Metaspace"}}),
        ("rejection", {"normalizer": {"type": "NFKC"}}),
        ("aegis", {"normalizer": None}),
        ("aegis", {"model": {"type": "Unigram"}}),
        ("aegis", {"added_tokens": [{"content": "bread", "special": False}]}),
        ("aegis", {"truncation": {"max_length": 8}}),
    ],
)
def test_another_kind_of_tokenizer_has_no_pieces(name: str, change: dict[str, Any]) -> None:
    definition = json.loads((DEMO_WEIGHTS / name / "tokenizer.json").read_text("utf-8"))
    definition["truncation"] = None
    assert piece_pattern(definition) is not None
    assert piece_pattern({**definition, **change}) is None
