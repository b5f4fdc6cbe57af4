"""The queue's size by the server's configs, and requests to a real gRPC server."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tribunal.contract import MODERATION
from tribunal.gateway.caller import Caller
from tribunal.gateway.moderation.moderator import Options
from tribunal.gateway.moderation.policies import ServerPolicy
from tribunal.gateway.moderation.queue import Size
from tribunal.gateway.moderation.triton import Limits, Triton, instances, requests_at_once
from tribunal.gateway.settings import GatewaySettings
from tribunal.gateway.state import GatewayState
from tribunal.transport.messages import Question

from tests.unit.client.kserve_server import LONGEST_BYTES, KserveServer, kserve_server

NEVER = Question("never", explain=True)


@pytest.fixture
def server() -> Iterator[KserveServer]:
    with kserve_server() as running:
        yield running


def step(model: str, inputs: str, outputs: str) -> dict[str, Any]:
    return {
        "model_name": model,
        "input_map": {name: name for name in inputs.split()},
        "output_map": {name: name for name in outputs.split()},
    }


STEPS = [
    step("tokenizer", "text", "ids"),
    step("rejection", "ids", "refusals"),
    step("aegis", "ids", "categories"),
    step("verdict", "text refusals categories", "verdict"),
]


def test_a_request_for_each_instance_of_the_steps_that_follow_each_other() -> None:
    counts = {"tokenizer": 8, "rejection": 2, "aegis": 3, "verdict": 4}
    configs = {name: {"instance_group": [{"count": count}]} for name, count in counts.items()}
    assert requests_at_once(STEPS, configs) == 8 + 3 + 4


def test_a_model_has_its_instances_on_each_gpu() -> None:
    assert instances({}) == 1
    assert instances({"instance_group": [{"count": 2, "gpus": [0, 1]}, {"count": 3}]}) == 7


def test_the_limits_are_read_from_the_configs(server: KserveServer) -> None:
    batch = {"max_batch_size": 64}
    server.configs = {
        MODERATION: {"max_batch_size": 128, "ensemble_scheduling": {"step": STEPS}},
        **{name: {**batch, "instance_group": [{"count": 2}]} for name in ("tokenizer", "rejection", "aegis")},
        "verdict": batch,
    }
    server.configs["tokenizer"]["parameters"] = {"max_text_bytes": {"string_value": "65536"}}

    async def limits() -> Limits:
        triton = Triton(server.url)
        async with triton:
            return await triton.limits()

    assert asyncio.run(limits()) == Limits(Size(requests=5, texts=64), 65_536)


def test_a_request_has_all_texts_and_only_faulty_ones_fail(server: KserveServer) -> None:
    texts = [f"text {number}".encode() for number in range(64)]
    texts[7], texts[20] = b"a" * (LONGEST_BYTES + 1), b"poison"

    async def outcomes() -> list[str]:
        triton = Triton(server.url)
        async with triton:
            return [type(outcome).__name__ for outcome in await triton.outcomes(texts, NEVER)]

    expected = ["Verdict"] * 64
    expected[7], expected[20] = "InvalidInput", "ServerError"
    assert asyncio.run(outcomes()) == expected
    assert len(server.requests[0]) == 64


def test_a_caller_that_goes_cancels_nothing_at_the_server(server: KserveServer) -> None:
    async def leave() -> None:
        gateway = GatewayState(GatewaySettings(url=server.url))
        server.hold = True
        asked = gateway.moderator.moderate(["left"], Options(ServerPolicy(), "never"), Caller("alice"))
        task = asyncio.create_task(asked)
        async with asyncio.timeout(5):
            while not server.in_flight:
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.1)
        assert (server.in_flight, server.cancelled) == (1, 0)
        server.hold = False
        await gateway.moderator.drain()
        await gateway.triton.close()

    asyncio.run(leave())
    assert server.cancelled == 0
