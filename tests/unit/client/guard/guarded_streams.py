"""Streams for the guard's tests, and a checker that flags texts with a phrase."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from tribunal import Categories, Refusal, Toxicity, Verdict
from tribunal.contract import JudgeMode
from tribunal.guard.options import GuardOptions, Release

HARMFUL = "I will throw the bomb."
TEXT = f"The bread is fresh. It was baked today. {HARMFUL} The oven is hot. Come in."


class Source:
    """The chunks of a text; it counts the chunks that were read and records its closing."""

    def __init__(self, chunks: Sequence[object], error: Exception | None = None) -> None:
        self.chunks = chunks
        self.error = error
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[object]:
        for chunk in self.chunks:
            self.read += 1
            yield chunk
        if self.error is not None:
            raise self.error

    async def __aiter__(self) -> AsyncIterator[object]:
        for chunk in self:
            await asyncio.sleep(0)
            yield chunk

    def close(self) -> None:
        self.closed = True


class AsyncSource(Source):
    """Close it like an asynchronous generator."""

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed = True


def pieces_of(text: str, size: int = 4) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


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
    """Flags the texts that contain `phrase`, and records the texts."""

    def __init__(self, phrase: str) -> None:
        self.phrase = phrase
        self.asked: list[tuple[tuple[str, ...], JudgeMode | None]] = []

    def __call__(self, texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        self.asked.append((tuple(texts), judge))
        return [verdict(self.phrase in text) for text in texts]
