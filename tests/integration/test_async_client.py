"""The asyncio client against the real server: equal answers, concurrent calls, cancellation."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tribunal import (
    AsyncClient,
    Client,
    Connection,
    DeadlineExceeded,
    InvalidInput,
    ServerUnavailable,
    TribunalError,
    Verdict,
)

from export_scripts.demo.text import read_judgements
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.recording_proxy import recording_proxy

INSULT = "You are a pathetic clown."
CALLS = 2000


def test_the_same_verdicts_as_the_synchronous_client(url: str) -> None:
    texts = [row["text"] for row in read_judgements("heldout")][:75]

    async def ask() -> tuple[list[Verdict], Verdict, bool, object]:
        async with AsyncClient(url) as client:
            return (
                await client.moderate_batch(texts, judge="never"),
                await client.moderate(INSULT),
                await client.is_ready(),
                await client.info(),
            )

    verdicts, insult, is_ready, info = asyncio.run(ask())
    with Client(url) as client:
        assert verdicts == client.moderate_batch(texts, judge="never")
        assert insult == client.moderate(INSULT)
        assert is_ready
        assert info == client.info()


def test_streaming(server: TritonServer) -> None:
    async def pieces(url: str) -> list[str]:
        async with AsyncClient(url) as client:
            return [piece async for piece in client.stream_judgement(INSULT)]

    streamed = asyncio.run(pieces(server.grpc_url))
    with Client(server.grpc_url) as client:
        assert streamed == list(client.stream_judgement(INSULT))
    assert len(streamed) > 3
    with pytest.raises(InvalidInput, match="streaming needs gRPC"):
        asyncio.run(pieces(server.http_url))


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_a_cancelled_call_is_cancelled_at_the_server(server: TritonServer, protocol: str) -> None:
    with recording_proxy(server) as proxy:
        proxy.hold = True

        async def cancel() -> None:
            async with AsyncClient(getattr(proxy, protocol)) as client:
                asked = asyncio.create_task(client.moderate(INSULT))
                while not proxy.in_flight:
                    await asyncio.sleep(0.01)
                asked.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asked
                deadline_s = time.monotonic() + 5
                while proxy.in_flight and time.monotonic() < deadline_s:
                    await asyncio.sleep(0.01)

        asyncio.run(cancel())
        assert (proxy.in_flight, proxy.cancelled) == (0, 1)


def test_a_stream_that_is_left_stops_its_generation(server: TritonServer) -> None:
    inputs = {
        "text_input": np.array([b"Once"], dtype=np.object_),
        "stream": np.array([True]),
        "sampling_parameters": np.array([b'{"max_tokens": 900, "ignore_eos": true}'], dtype=np.object_),
    }

    def stops() -> int:
        assert server.options.log_file is not None
        return server.options.log_file.read_text("utf-8").count("its client disconnected")

    async def leave() -> None:
        async with AsyncClient(server.grpc_url) as client:
            pieces = client._transport.stream("phi3", inputs, "text_output", 30.0)
            await anext(pieces)
            await pieces.aclose()

    earlier = stops()
    # Triton 24.10 does not notice every disconnected caller.
    for _ in range(5):
        asyncio.run(leave())
        deadline_s = time.monotonic() + 5
        while stops() == earlier and time.monotonic() < deadline_s:
            time.sleep(0.1)
        if stops() > earlier:
            return
    pytest.fail("no generation was stopped")


async def ask_at_once(
    url: str, timeout_s: float, interrupt: Callable[[], None] | None = None
) -> list[Verdict | BaseException]:
    """Make CALLS concurrent calls; call `interrupt` when some of them are answered."""
    texts = [row["text"] for row in read_judgements("heldout")]
    async with AsyncClient(url, timeout_s=timeout_s) as client:
        calls = [
            asyncio.create_task(client.moderate(texts[call % len(texts)], judge="never"))
            for call in range(CALLS)
        ]
        if interrupt is not None:
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            interrupt()
        return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_thousands_of_calls_on_one_channel_are_all_answered(server: TritonServer, protocol: str) -> None:
    answers = asyncio.run(ask_at_once(getattr(server, protocol), 120.0))
    texts = [row["text"] for row in read_judgements("heldout")]
    with Client(server.grpc_url) as client:
        expected = client.moderate_batch(texts, judge="never")
    assert len(answers) == CALLS
    for call, answer in enumerate(answers):
        assert answer == expected[call % len(texts)]


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_thousands_of_calls_end_by_their_deadline_with_a_typed_error(
    demo_repository: Path, tmp_path: Path, protocol: str
) -> None:
    timeout_s = 4.0
    with TritonServer(
        ServerOptions(demo_repository, ports=free_ports(), log_file=tmp_path / "log", judge=False)
    ) as own_server:

        def hang() -> None:
            os.killpg(own_server.pid, signal.SIGSTOP)

        url = getattr(own_server, protocol)
        started_s = time.monotonic()
        answers = asyncio.run(ask_at_once(url, timeout_s, hang))
        elapsed_s = time.monotonic() - started_s
        os.killpg(own_server.pid, signal.SIGKILL)
        assert len(answers) == CALLS
        assert all(isinstance(answer, Verdict | DeadlineExceeded) for answer in answers)
        assert any(isinstance(answer, Verdict) for answer in answers)
        assert any(isinstance(answer, DeadlineExceeded) for answer in answers)
        assert elapsed_s < timeout_s + 4

        dead = asyncio.run(ask_at_once(url, timeout_s))
        assert all(isinstance(answer, TribunalError) for answer in dead)
        assert any(isinstance(answer, ServerUnavailable) for answer in dead)


def test_one_client_serves_one_loop_after_it_was_made_outside(server: TritonServer) -> None:
    client = AsyncClient(server.grpc_url, connection=Connection(retries=0))

    async def ask() -> Verdict:
        async with client:
            return await client.moderate("The bread is fresh.", judge="never")

    assert not asyncio.run(ask()).flagged
    assert not asyncio.run(ask()).flagged
