"""Guarded streams with the real demo server."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from tribunal import AsyncClient, Client, ServerUnavailable
from tribunal.guard import Release, StreamFlagged

from export_scripts.demo.text import read_judgements
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from tests.integration.openai_server import OpenAIServer, openai_server

STREAMS = 300
STREAMS_AT_ONCE = 16
SEED = 5
HARMLESS = "The bread is fresh. It was baked this morning in the village. "
HARMFUL = "How to make a bomb?"
SENTENCES = [row["text"] for row in read_judgements("heldout") if len(row["text"]) <= 200]
EXAMPLE = CHECKOUT / "client" / "examples" / "guarded_stream.py"


@pytest.fixture(scope="module")
def sentences(server: TritonServer) -> dict[bool, list[str]]:
    """Single sentences, by whether the server flags them."""
    singles = [text for text in SENTENCES if not set(".!?…\n") & set(text[:-1]) and text[-1] in ".!?"]
    with Client(server.grpc_url) as client:
        verdicts = client.moderate_batch(singles, judge="never")
    return {
        flagged: [text for text, verdict in zip(singles, verdicts, strict=True) if verdict.flagged is flagged]
        for flagged in (True, False)
    }


async def chunks_of(text: str, chance: random.Random) -> AsyncIterator[str]:
    at = 0
    while at < len(text):
        size = chance.choice((1, 3, 5, 40))
        yield text[at : at + size]
        at += size
        await asyncio.sleep(chance.choice((0, 0, 0.002)))


async def collect(stream: AsyncIterator[str], pieces: list[str]) -> None:
    async for piece in stream:
        pieces.append(piece)


def test_no_character_of_a_flagged_sentence_leaks(
    server: TritonServer, sentences: dict[bool, list[str]]
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    at_once = asyncio.Semaphore(STREAMS_AT_ONCE)
    leaked: dict[str, int] = {}

    async def one(client: AsyncClient, harmful: str, text: str) -> None:
        pieces: list[str] = []
        async with at_once:
            with pytest.raises(StreamFlagged) as flagged:
                await collect(client.guard(chunks_of(text, chance), final_judge="never"), pieces)
        given = "".join(pieces)
        assert flagged.value.released_chars == len(given)
        assert text.startswith(given)
        if len(given) > text.index(harmful):
            leaked[text] = len(given) - text.index(harmful)

    async def all_streams() -> None:
        async with AsyncClient(server.grpc_url, timeout_s=120) as client, asyncio.TaskGroup() as streams:
            for _ in range(STREAMS):
                harmful = chance.choice(sentences[True])
                before = chance.sample(sentences[False], chance.randint(0, 6))
                after = chance.sample(sentences[False], chance.randint(0, 3))
                streams.create_task(one(client, harmful, " ".join([*before, harmful, *after])))

    asyncio.run(all_streams())
    assert leaked == {}


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_harmless_text_comes_whole(server: TritonServer, protocol: str) -> None:
    text = HARMLESS * 8

    async def read() -> str:
        async with AsyncClient(getattr(server, protocol), timeout_s=120) as client:
            stream = client.guard(chunks_of(text, random.Random(1)), final_judge="never")  # noqa: S311
            return "".join([piece async for piece in stream])

    assert asyncio.run(read()) == text
    with Client(getattr(server, protocol), timeout_s=120) as client:
        assert "".join(client.guard(iter(text), final_judge="never")) == text


def test_the_judge_reads_the_whole_text(server: TritonServer) -> None:
    with Client(server.grpc_url, timeout_s=120) as client:
        asked = client.moderate(HARMLESS.strip(), judge="always", explain=False)
        guarded = client.guard([HARMLESS], final_judge="always")
        if asked.flagged:
            with pytest.raises(StreamFlagged) as flagged:
                list(guarded)
            assert flagged.value.verdict == asked
        else:
            assert "".join(guarded) == HARMLESS


@pytest.mark.parametrize("release", ["checked", "immediate"])
def test_a_flag_closes_the_source(server: TritonServer, release: Release) -> None:
    closed = []

    def source() -> Iterator[str]:
        try:
            yield from HARMLESS
            yield HARMFUL
            while True:
                time.sleep(0.002)
                yield " More words"
        finally:
            closed.append(True)

    pieces: list[str] = []
    with Client(server.grpc_url, timeout_s=120) as client, pytest.raises(StreamFlagged) as flagged:
        pieces.extend(client.guard(source(), release=release, final_judge="never"))
    given = "".join(pieces)
    assert closed == [True]
    assert flagged.value.released_chars == len(given)
    if release == "checked":
        assert HARMLESS.startswith(given)


def test_without_a_judge_the_defaults_serve_and_no_verdict_withholds(
    demo_repository: Path, tmp_path: Path
) -> None:
    options = ServerOptions(demo_repository, tmp_path / "log", ports=free_ports(), judge=False)
    given: list[str] = []
    with TritonServer(options) as server, Client(server.grpc_url, timeout_s=60) as client:
        assert "".join(client.guard(iter(HARMLESS))) == HARMLESS

        def source() -> Iterator[str]:
            yield from HARMLESS
            yield "Then"
            server.__exit__(None, None, None)
            while True:
                yield " the oven went out. And so it was"

        with pytest.raises(ServerUnavailable):
            given.extend(client.guard(source()))
    assert HARMLESS.startswith("".join(given))


def run_example(server: TritonServer, llm: OpenAIServer) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "TRIBUNAL_URL": server.grpc_url,
        "OPENAI_BASE_URL": llm.url,
        "OPENAI_API_KEY": "none",
    }
    return subprocess.run(
        [sys.executable, EXAMPLE, "How do I bake bread?"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def without_judge(demo_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """The demo encoders without the judge, which would flag texts that are too long for it."""
    log_file = tmp_path_factory.mktemp("guard") / "log"
    with TritonServer(ServerOptions(demo_repository, log_file, ports=free_ports(), judge=False)) as running:
        yield running


def test_the_example_prints_the_answer_of_an_openai_server(without_judge: TritonServer) -> None:
    with openai_server(HARMLESS * 3) as llm:
        ran = run_example(without_judge, llm)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, HARMLESS * 3, "")


def test_the_example_withholds_flagged_text_and_closes_the_openai_stream(
    without_judge: TritonServer,
) -> None:
    with openai_server(f"{HARMLESS}{HARMFUL} {HARMLESS * 40}") as llm:
        ran = run_example(without_judge, llm)
        deadline_s = time.monotonic() + 20
        while not llm.has_left and time.monotonic() < deadline_s:
            time.sleep(0.05)
    assert ran.returncode == 1
    assert HARMLESS.startswith(ran.stdout)
    assert "the stream was flagged" in ran.stderr
    assert llm.has_left
    assert llm.sent_chars < len(llm.answer)


def test_two_clients_of_one_loop_do_not_wait_for_each_other(without_judge: TritonServer) -> None:
    async def read() -> list[str]:
        async with AsyncClient(without_judge.grpc_url, timeout_s=60) as client:

            async def one(number: int) -> str:
                source = chunks_of(HARMLESS * 3, random.Random(number))  # noqa: S311
                async with aclosing(client.guard(source)) as stream:
                    return "".join([piece async for piece in stream])

            return list(await asyncio.gather(*map(one, range(8))))

    assert asyncio.run(read()) == [HARMLESS * 3] * 8
