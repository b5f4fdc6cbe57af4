"""Callers that disconnect under load: the server keeps running and answers other callers as before.

Triton 24.10 crashes if its dynamic batcher drops a cancelled request from the queue of one encoder while
the other encoder runs, so `configs/local.pbtxt` has no dynamic batching on a CPU. An ensemble passes a
cancellation to a step only when it schedules that step. So the encoders drop a request that was cancelled
while it waited for `tokenizer`, but run one that was cancelled while it waited for an encoder.
"""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
from tribunal import AsyncClient, Client, DeadlineExceeded

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.metrics import settle

TEXT = "How to make a bomb?"
LONG = "many words of one long text " * 400
# `tokenizer` takes so long that most of a flood still waits for it when the callers disconnect.
LONGEST = "many words of one long text " * 2300
FLOOD = 60
READ_BEFORE_THEY_LEAVE = 5
CACHE_MIB = 64
CANCELS = 150


@pytest.fixture(scope="module")
def screening(demo_repository: Path) -> Iterator[TritonServer]:
    """A separate server of the demo encoders."""
    log_file = demo_repository.parent / "abandoned.log"
    options = ServerOptions(demo_repository, log_file, ports=free_ports(), judge=False)
    with TritonServer(options) as running:
        yield running


@pytest.fixture
def _answers_go_on(screening: TritonServer) -> Iterator[None]:
    """Require that the same process gives the same answers after the test."""
    with Client(screening.grpc_url, timeout_s=120) as client:
        before, pid = client.moderate(TEXT, judge="never"), screening.pid
        yield
        assert client.moderate(TEXT, judge="never") == before
        assert screening.pid == pid
        assert screening.control.failures() == {}


def tensor(name: str, value: str) -> tritonclient.grpc.InferInput:
    made = tritonclient.grpc.InferInput(name, [1, 1], "BYTES")
    made.set_data_from_numpy(np.array([[value.encode()]], dtype=np.object_))
    return made


@pytest.mark.usefixtures("_answers_go_on")
def test_requests_that_are_cancelled(screening: TritonServer) -> None:
    chance = random.Random(1)  # noqa: S311
    with tritonclient.grpc.InferenceServerClient(screening.grpc_url) as client:
        for _ in range(CANCELS):
            text = "text " * chance.randrange(1, 2000)
            inputs = [tensor("text", text), tensor("judge", "never")]
            call = client.async_infer("moderation", inputs, lambda result, error: None)  # noqa: ARG005
            time.sleep(chance.uniform(0, 0.02))
            call.cancel()


@pytest.mark.usefixtures("_answers_go_on")
def test_deadlines_that_pass_under_load(screening: TritonServer) -> None:
    def ask() -> None:
        with Client(screening.grpc_url, timeout_s=0.3) as client:
            for _ in range(3):
                with contextlib.suppress(DeadlineExceeded):
                    client.moderate(LONG, judge="never")

    callers = [threading.Thread(target=ask) for _ in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()


@pytest.mark.usefixtures("_answers_go_on")
def test_tasks_that_are_cancelled(screening: TritonServer) -> None:
    async def ask_and_leave() -> int:
        left = 0
        async with AsyncClient(screening.grpc_url) as client:

            async def one(number: int) -> None:
                nonlocal left
                try:
                    await asyncio.wait_for(client.moderate(LONG if number % 2 else TEXT, judge="never"), 0.3)
                except TimeoutError:
                    left += 1

            for _ in range(3):
                await asyncio.gather(*(one(number) for number in range(60)))
        return left

    assert asyncio.run(ask_and_leave()) > 30


async def ask_and_leave(server: TritonServer, texts: Iterable[str]) -> None:
    """Send all of `texts` concurrently, and cancel them when `tokenizer` has read a few."""
    async with tritonclient.grpc.aio.InferenceServerClient(server.grpc_url) as client:

        async def texts_read() -> int:
            (model,) = (await client.get_inference_statistics("tokenizer")).model_stats
            return int(model.inference_stats.success.count)

        before = await texts_read()
        callers = [
            asyncio.create_task(client.infer("moderation", [tensor("text", text), tensor("judge", "never")]))
            for text in texts
        ]
        while await texts_read() < before + READ_BEFORE_THEY_LEAVE:
            await asyncio.sleep(0.01)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)


@pytest.mark.usefixtures("_answers_go_on")
def test_long_texts_that_nobody_waits_for_are_not_run(screening: TritonServer) -> None:
    def counts() -> tuple[int, float]:
        """Numbers of texts that `tokenizer` has read, and of verdicts."""
        with tritonclient.grpc.InferenceServerClient(screening.grpc_url) as client:
            (model,) = client.get_inference_statistics("tokenizer").model_stats
        given = [count for (name, _), count in settle(screening).items() if name == "tribunal_verdicts_total"]
        return model.inference_stats.success.count, sum(given)

    read_before, given_before = counts()
    asyncio.run(ask_and_leave(screening, (f"{number} {LONGEST}" for number in range(FLOOD))))
    with Client(screening.grpc_url, timeout_s=120) as client:
        # Answered after the whole flood.
        client.moderate(TEXT, judge="never")
    read, given = counts()
    assert read - read_before > FLOOD / 3
    assert given - given_before < (read - read_before) / 2


def test_a_text_that_one_caller_abandons_is_answered_to_the_next(
    demo_repository: Path, tmp_path: Path
) -> None:
    options = ServerOptions(
        demo_repository, tmp_path / "log", ports=free_ports(), judge=False, cache_mib=CACHE_MIB
    )
    texts = [f"{number} {LONGEST}" for number in range(FLOOD // 3)]
    with TritonServer(options) as server, Client(server.grpc_url, timeout_s=120) as client:
        asyncio.run(ask_and_leave(server, texts))
        client.moderate(TEXT, judge="never")
        assert [client.moderate(text, judge="never").windows for text in texts] == [32] * len(texts)
