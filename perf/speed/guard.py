"""`python -m perf guard`: the delay that a stream guard adds to an LLM's first and last piece.

Streams of harmless text arrive at 30, 100 and 300 characters a second. Tribunal's guard is compared with
simulations of the chunking rules of NeMo Guardrails and LiteLLM, with their documented defaults. All ask the
same demonstration server, without the judge, at the same time. A second part counts the characters of a
flagged sentence that each guard releases.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tribunal import AsyncClient
from tribunal.guard import Release, StreamFlagged

from export_scripts.demo.text import read_judgements
from perf.paths import DEMO_REPOSITORY
from perf.samples import write_samples
from perf.serving.servers import benchmark_server

RATES_CHARS_PER_S = (30, 100, 300)
# About one token of English text, the usual chunk of an LLM's stream.
CHUNK_CHARS = 4
TEXT_CHARS = 1200
FLAGGED_STREAMS = 40
LONGEST_CHARS = 200
# https://docs.nvidia.com/nemo/guardrails/configure-guardrails/yaml-schema/streaming/output-rail-streaming
NEMO_CHUNK_TOKENS, NEMO_CONTEXT_TOKENS = 200, 50
# `streaming_sampling_rate` of https://docs.litellm.ai/docs/proxy/guardrails, in LiteLLM 1.106.
LITELLM_EVERY_CHUNKS = 5
TIMEOUT_S = 120.0
ROUNDS = 1
console = Console()

Chunks = AsyncIterator[str]
Guard = Callable[[AsyncClient, Chunks], AsyncGenerator[str]]


@dataclass(frozen=True)
class Times:
    """Arrival of the first and the last characters, in seconds from the stream's start."""

    first_s: float
    last_s: float


class Flagged(Exception):
    """A simulated rule stopped the stream."""


async def unguarded(_: AsyncClient, chunks: Chunks) -> AsyncGenerator[str]:
    """The chunks without any guard."""
    async for chunk in chunks:
        yield chunk


def tribunal(client: AsyncClient, chunks: Chunks, *, release: Release) -> AsyncGenerator[str]:
    """Tribunal's guard with its defaults; the server has no judge."""
    return client.guard(chunks, release=release)


async def nemo(client: AsyncClient, chunks: Chunks, *, stream_first: bool) -> AsyncGenerator[str]:
    """NeMo Guardrails: checks 200 tokens at a time; the next check includes the last 50 again.

    stream_first: whether it releases tokens before it checks them, which is the default.
    """
    buffer: list[str] = []
    new: list[str] = []

    async def checked() -> AsyncIterator[str]:
        if stream_first:
            yield "".join(new)
        await require_harmless(client, "".join(buffer))
        if not stream_first:
            yield "".join(new)

    async for chunk in chunks:
        buffer.append(chunk)
        new.append(chunk)
        if len(buffer) >= NEMO_CHUNK_TOKENS:
            async for piece in checked():
                yield piece
            buffer, new = buffer[-NEMO_CONTEXT_TOKENS:], []
    if new:
        async for piece in checked():
            yield piece


async def litellm(client: AsyncClient, chunks: Chunks) -> AsyncGenerator[str]:
    """LiteLLM: every fifth chunk waits for a check of the text so far; the others are not checked."""
    text, number = "", 0
    async for chunk in chunks:
        text += chunk
        number += 1
        if number % LITELLM_EVERY_CHUNKS == 0:
            await require_harmless(client, text)
        yield chunk
    await require_harmless(client, text)


async def require_harmless(client: AsyncClient, text: str) -> None:
    """Raise Flagged if the server flags `text`."""
    if (await client.moderate(text, judge="never")).flagged:
        raise Flagged


GUARDS: dict[str, Guard] = {
    "no guard": unguarded,
    "Tribunal, release=checked": partial(tribunal, release="checked"),
    "Tribunal, release=immediate": partial(tribunal, release="immediate"),
    "NeMo's rule, stream_first=True (default)": partial(nemo, stream_first=True),
    "NeMo's rule, stream_first=False": partial(nemo, stream_first=False),
    "LiteLLM's rule, every 5 chunks (default)": litellm,
}


async def paced(text: str, chars_per_s: float) -> AsyncIterator[str]:
    """Chunks of `text` at a steady rate, the first one at once."""
    started_s = time.perf_counter()
    for at in range(0, len(text), CHUNK_CHARS):
        await asyncio.sleep(max(0.0, started_s + at / chars_per_s - time.perf_counter()))
        yield text[at : at + CHUNK_CHARS]


async def time_stream(guard: Guard, client: AsyncClient, text: str, chars_per_s: float) -> Times:
    """Read `text` through `guard`; raises RuntimeError if a part does not arrive."""
    first_s: float | None = None
    started_s = time.perf_counter()
    given = ""
    async for piece in guard(client, paced(text, chars_per_s)):
        given += piece
        first_s = first_s or time.perf_counter() - started_s
        last_s = time.perf_counter() - started_s
    if given != text or first_s is None:
        raise RuntimeError(f"{len(given)} of {len(text)} characters came")
    return Times(first_s, last_s)


async def leaked_chars(guard: Guard, client: AsyncClient, text: str, sentence: str) -> int | None:
    """Characters of `sentence` that arrived before the flag; None if all of `text` arrived unflagged."""
    given = 0
    try:
        async with aclosing(guard(client, paced(text, RATES_CHARS_PER_S[-1]))) as pieces:
            async for piece in pieces:
                given += len(piece)
    except (Flagged, StreamFlagged):
        return min(max(0, given - text.index(sentence)), len(sentence))
    return None


async def harmless_and_flagged(client: AsyncClient) -> tuple[list[str], list[str]]:
    """Held-out single sentences: those that the server does not flag, and those that it flags."""
    texts = [row["text"] for row in read_judgements("heldout") if is_single_sentence(row["text"])]
    verdicts = await client.moderate_batch(texts, judge="never")
    by_flag = {
        flag: [text for text, verdict in zip(texts, verdicts, strict=True) if verdict.flagged is flag]
        for flag in (False, True)
    }
    return by_flag[False], by_flag[True]


def is_single_sentence(text: str) -> bool:
    """Whether `text` is one sentence that is no longer than the guard's overlap."""
    return len(text) <= LONGEST_CHARS and text[-1] in ".!?" and not set(".!?…") & set(text[:-1])


async def harmless_text(client: AsyncClient, sentences: Sequence[str]) -> str:
    """At least TEXT_CHARS characters of sentences that no guard flags, neither in parts nor as a whole."""
    text = ""
    for sentence in sentences:
        longer = f"{text} {sentence}".strip()
        if not (await client.moderate(longer, judge="never")).flagged:
            text = longer
        if len(text) >= TEXT_CHARS:
            return text
    raise RuntimeError(f"only {len(text)} characters of harmless text were found")


async def measure(url: str, rounds: int) -> dict[str, Any]:
    """Times of each guard at each rate, and the released characters of flagged sentences."""
    times: dict[str, list[dict[str, float]]] = {}
    leaks: dict[str, list[int | None]] = {}
    async with AsyncClient(url, timeout_s=TIMEOUT_S) as client:
        harmless, flagged = await harmless_and_flagged(client)
        text = await harmless_text(client, harmless)
        for _ in range(rounds):
            for rate in RATES_CHARS_PER_S:
                with console.status(f"{rate} characters/s"):
                    taken = await asyncio.gather(
                        *(time_stream(guard, client, text, rate) for guard in GUARDS.values())
                    )
                for name, of_guard in zip(GUARDS, taken, strict=True):
                    times.setdefault(f"{name} at {rate}", []).append(asdict(of_guard))
        middle = text.index(". ", TEXT_CHARS // 2) + 2
        for name, guard in GUARDS.items():
            with console.status(f"flagged sentences: {name}"):
                leaks[name] = await asyncio.gather(
                    *(
                        leaked_chars(guard, client, f"{text[:middle]}{sentence} {text[middle:]}", sentence)
                        for sentence in flagged[:FLAGGED_STREAMS]
                    )
                )
    return {"times": times, "leaks": leaks, "text_chars": len(text)}


def added_table(times: dict[str, list[dict[str, float]]]) -> Table:
    """Median seconds that each guard adds to the first and to the last piece."""
    table = Table("characters/s", "guard", "first piece, s", "last piece, s")
    for rate in RATES_CHARS_PER_S:
        base = _medians(times[f"no guard at {rate}"])
        for name in list(GUARDS)[1:]:
            taken = _medians(times[f"{name} at {rate}"])
            table.add_row(
                str(rate),
                name,
                f"{taken.first_s - base.first_s:+.2f}",
                f"{taken.last_s - base.last_s:+.2f}",
            )
    return table


def leak_table(leaks: dict[str, list[int | None]]) -> Table:
    """The number of flagged streams, and the released characters of their flagged sentences."""
    table = Table("guard", "flagged streams", "characters of the sentence, mean", "at most")
    for name, streams in leaks.items():
        stopped = [leaked for leaked in streams if leaked is not None]
        figures = (
            (f"{statistics.mean(stopped):.1f}", str(max(stopped))) if stopped else ("no data", "no data")
        )
        table.add_row(name, f"{len(stopped)} of {len(streams)}", *figures)
    return table


def _medians(samples: Sequence[dict[str, float]]) -> Times:
    return Times(*(statistics.median(sample[name] for sample in samples) for name in ("first_s", "last_s")))


def main(rounds: int, output: Path) -> None:
    """Measure, print the figures and write the samples."""
    with benchmark_server(DEMO_REPOSITORY, "guard") as server:
        measured = asyncio.run(measure(server.grpc_url, rounds))
    console.print(added_table(measured["times"]))
    console.print(leak_table(measured["leaks"]))
    write_samples(output, measured)
