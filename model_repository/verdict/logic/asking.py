"""Decides whether to ask the judge, and splits a text into pieces that fit its context."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

MODES = ("always", "auto", "never")
JUDGE_SERVED = ("served", "absent")


class InvalidMode(ValueError):
    """The caller's mode is not one of MODES, or needs a judge that is not served."""


@dataclass(frozen=True)
class Band:
    """The encoders are undecided if the highest category score is in [low, high), or the end was not read."""

    low: float
    high: float

    def asks(
        self, category_scores: npt.NDArray[np.float32], truncated: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Which texts are undecided, BOOL [batch].

        category_scores: FP32 [batch, categories]. truncated: BOOL [batch, 1].
        """
        highest = category_scores.max(axis=1)
        undecided: npt.NDArray[np.bool_] = ((highest >= self.low) & (highest < self.high)) | truncated[:, 0]
        return undecided


@dataclass(frozen=True)
class Modes:
    """The modes that a caller may name, and the default mode."""

    default: str
    judge_served: bool

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> "Modes":
        """Read `default_mode` and `judge` of the config; raises ValueError for an unknown value."""
        default = read_mode(parameters["default_mode"].encode())
        judge = parameters["judge"]
        if judge not in JUDGE_SERVED:
            raise ValueError(f"judge is {judge!r}; it must be one of {', '.join(JUDGE_SERVED)}")
        served = judge == "served"
        return cls(default if served else "never", served)

    def read(self, raw: bytes) -> str:
        """The mode that a caller names; raises InvalidMode."""
        mode = read_mode(raw)
        if mode != "never" and not self.judge_served:
            raise InvalidMode("judge: this server has no judge; use judge=never")
        return mode


def read_mode(raw: bytes) -> str:
    """One of MODES; raises InvalidMode."""
    mode = raw.decode("utf-8", "replace")
    if mode not in MODES:
        raise InvalidMode(f"judge is {mode[:40]!r}; it must be one of {', '.join(MODES)}")
    return mode


def text_splitter(tokenizer_file: Path, piece_tokens: int) -> Callable[[str], list[str]]:
    """`split_text` with the judge's tokenizer; without an exported judge, no text is split."""
    if not tokenizer_file.exists():
        return lambda text: [text]
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    # The judge reads a special token in a text as ordinary characters.
    tokenizer.encode_special_tokens = True
    return lambda text: split_text(text, tokenizer, piece_tokens)


def split_text(text: str, tokenizer: Tokenizer, piece_tokens: int) -> list[str]:
    """Pieces of `text` of at most `piece_tokens` tokens each; joined in order they are the text."""
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    if len(offsets) <= piece_tokens:
        return [text]
    starts = [0, *(offsets[index][0] for index in range(piece_tokens, len(offsets), piece_tokens))]
    return [
        text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True) if start < end
    ]
