"""Streams for the guard's tests, and a checker that flags what contains a phrase."""

from collections.abc import Callable, Sequence
from typing import Any

from tribunal import Categories, Refusal, Toxicity, Verdict
from tribunal.contract import JudgeMode
from tribunal.guard.options import GuardOptions, Release


def options(
    *,
    every: int = 200,
    overlap: int = 200,
    release: Release = "checked",
    text: Callable[[Any], str | None] | None = None,
) -> GuardOptions:
    return GuardOptions(
        text=text, every=every, overlap=overlap, release=release, judge="never", final_judge=None
    )


def verdict(flagged: bool) -> Verdict:
    return Verdict(
        flagged=flagged,
        refusal=Refusal(detected=False, score=0.0),
        categories=Categories(flagged=("Threat",) if flagged else (), scores={"Threat": float(flagged)}),
        toxicity=Toxicity("skipped", None, None, None),
        windows=1,
        truncated=False,
    )


class PhraseChecker:
    """Flags the texts that contain `phrase`, and keeps what it was asked."""

    def __init__(self, phrase: str) -> None:
        self.phrase = phrase
        self.asked: list[tuple[tuple[str, ...], JudgeMode | None]] = []

    def __call__(self, texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        self.asked.append((tuple(texts), judge))
        return [verdict(self.phrase in text) for text in texts]
