"""When the judge is asked, and about which pieces of a text."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from export_scripts.sources import DEMO_WEIGHTS
from model_repository.verdict.logic.asking import Band, InvalidMode, Modes, split_text, text_splitter

TOKENIZER = Tokenizer.from_file(str(DEMO_WEIGHTS / "judge" / "tokenizer.json"))
TOKENIZER.encode_special_tokens = True


READ = np.zeros((3, 1), dtype=np.bool_)


def modes(**parameters: str) -> Modes:
    return Modes.from_parameters({"default_mode": "always", "judge": "served", **parameters})


def test_the_judge_reads_texts_in_the_band() -> None:
    scores = np.full((3, 14), 0.001, dtype=np.float32)
    scores[1, 3] = 0.5
    scores[2, 5] = 0.999
    assert Band(0.01, 0.99).asks(scores, READ).tolist() == [False, True, False]
    assert Band(0.0, 1.0).asks(scores, READ).all()


def test_the_judge_reads_texts_that_the_encoders_truncate() -> None:
    scores = np.full((3, 14), 0.001, dtype=np.float32)
    truncated = np.array([[True], [False], [True]])
    assert Band(0.01, 0.99).asks(scores, truncated).tolist() == [True, False, True]


def test_an_unknown_mode_is_named() -> None:
    assert modes().read(b"auto") == "auto"
    for judge in ("served", "absent"):
        for raw in (b"sometimes", b"", b"\xff", b"Always"):
            with pytest.raises(InvalidMode, match="must be one of always, auto, never"):
                modes(judge=judge).read(raw)


def test_a_server_without_a_judge_asks_none_and_says_so() -> None:
    absent = modes(judge="absent")
    assert (absent.default, absent.judge_served) == ("never", False)
    assert (modes().default, modes().judge_served) == ("always", True)
    assert absent.read(b"never") == "never"
    for raw in (b"always", b"auto"):
        with pytest.raises(InvalidMode, match=r"^judge: this server has no judge; use judge=never$"):
            absent.read(raw)


def test_a_wrong_config_is_refused() -> None:
    with pytest.raises(ValueError, match="judge is 'maybe'; it must be one of served, absent"):
        modes(judge="maybe")
    with pytest.raises(ValueError, match="must be one of always, auto, never"):
        modes(judge="absent", default_mode="sometimes")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.integers(1, 20))
def test_pieces_are_the_text_and_nothing_is_lost(text: str, piece_tokens: int) -> None:
    assert "".join(split_text(text, TOKENIZER, piece_tokens)) == text


def test_a_long_text_is_cut_by_tokens() -> None:
    text = "I could strangle him. " * 50
    pieces = split_text(text, TOKENIZER, 64)
    assert len(pieces) > 3
    assert max(len(TOKENIZER.encode(piece).ids) for piece in pieces) <= 64 + 8


def test_without_an_exported_judge_nothing_is_split(tmp_path: Path) -> None:
    assert text_splitter(tmp_path / "tokenizer.json", 1)("a b c") == ["a b c"]
