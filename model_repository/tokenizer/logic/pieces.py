"""Cuts a text where its tokenizer cuts it as well, so that the ids of the parts are those of the text.

A piece ends only where two kinds of tokenizers provably end a word, whatever is before and after. A piece
may hold several of their words: its ids are the tokenizer's own, so no table of Unicode is repeated here
except the white space of byte-level BPE, which a test compares for every code point.
"""

import re
from collections.abc import Mapping
from typing import Any

# Unicode's White_Space, as Oniguruma's \s has it. Python's \s also has \x1c to \x1f.
_WHITE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_ASCII_PUNCTUATION = r"!-/:-@\[-`{-~"

# GPT-2's expression is, in turns,
# `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
# It never looks back, so a piece may start wherever one of its matches ends:
# - after letters of ASCII, with the space before them, if no letter can follow;
# - otherwise where white space follows, or the text ends: only its last two alternatives match white space
#   after a character, and they match here as there.
_BYTE_LEVEL_BPE = re.compile(
    rf" ?[A-Za-z]+(?![A-Za-z\x80-\U0010ffff])| ?[^{_WHITE}]+|[{_WHITE}]+(?![^{_WHITE}])|[{_WHITE}]+"
)

# BERT's normalizer changes each character by itself, but for the order of combining marks, which never pass
# a character of ASCII. Then its pre-tokenizer drops white space, and makes a word of each punctuation
# character. Other white space than these four characters may be inside a piece.
_BERT = re.compile(rf"[^ \t\n\r{_ASCII_PUNCTUATION}]+|[{_ASCII_PUNCTUATION}]")


def piece_pattern(definition: Mapping[str, Any]) -> re.Pattern[str] | None:
    """The expression that finds the pieces of a text, from first to last.

    The ids of a text, without special tokens, are those of its pieces one after another, if special tokens
    in it are ordinary characters. Characters that are in no piece have no ids.

    definition: the content of tokenizer.json. Returns None for a tokenizer of another kind.
    """
    if (
        definition["truncation"] is not None
        or not all(token["special"] for token in definition["added_tokens"])
        or not _keeps_one_text(definition["post_processor"])
    ):
        return None
    kind = tuple(_type(definition[part]) for part in ("normalizer", "pre_tokenizer", "model"))
    if kind == ("BertNormalizer", "BertPreTokenizer", "WordPiece"):
        return _BERT
    if kind == (None, "ByteLevel", "BPE"):
        splitting = definition["pre_tokenizer"]
        if (
            splitting["use_regex"]
            and not splitting["add_prefix_space"]
            and not definition["model"]["dropout"]
        ):
            return _BYTE_LEVEL_BPE
    return None


def _type(part: Mapping[str, Any] | None) -> str | None:
    return None if part is None else part["type"]


def _keeps_one_text(post_processor: Mapping[str, Any] | None) -> bool:
    """Whether it only adds special tokens before and after a text."""
    if _type(post_processor) == "TemplateProcessing" and post_processor is not None:
        return sum("Sequence" in part for part in post_processor["single"]) == 1
    return _type(post_processor) in (None, "BertProcessing", "RobertaProcessing")
