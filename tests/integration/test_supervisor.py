"""A model recovers after its process dies."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tribunal import Client, TribunalError

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.recovery.events import Event
from launcher.recovery.processes import STUB, model_of
from launcher.recovery.supervisor import supervise


@pytest.fixture(scope="module")
def screening(demo_repository: Path) -> Iterator[TritonServer]:
    """A separate server of the demo encoders."""
    log_file = demo_repository.parent / "supervised.log"
    with TritonServer(
        ServerOptions(demo_repository, ports=free_ports(), log_file=log_file, judge=False)
    ) as running:
        yield running


def stubs(server: TritonServer, model: str) -> list[psutil.Process]:
    """Processes of a model's instances."""
    return [
        process
        for process in psutil.Process(server.pid).children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
        and process.cmdline()[0].endswith(STUB)
        and model_of(process.cmdline()[-2]) == model
    ]


@pytest.mark.parametrize("model", ["tokenizer", "aegis", "verdict"])
def test_a_dead_process_is_replaced(screening: TritonServer, model: str) -> None:
    events: list[Event] = []
    instances = len(stubs(screening, model))
    with Client(screening.grpc_url, timeout_s=10) as client, supervise(screening, events.append):
        before = client.moderate("How to make a bomb?", judge="never")
        stubs(screening, model)[0].kill()
        deadline_s = time.monotonic() + 60
        while not any((event.kind, event.model) == ("restored", model) for event in events):
            assert time.monotonic() < deadline_s, f"{model} did not come back: {events}"
            time.sleep(0.05)
        while len(stubs(screening, model)) != instances:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        for _ in range(4):
            assert client.moderate("How to make a bomb?", judge="never") == before
        assert client.is_ready()
        assert client.info().weights
    assert screening.control.failures() == {}


def test_processes_that_die_one_after_the_other_are_all_replaced(screening: TritonServer) -> None:
    events: list[Event] = []
    with Client(screening.grpc_url, timeout_s=10) as client, supervise(screening, events.append):
        before = client.moderate("How to make a bomb?", judge="never")
        for model in ("rejection", "aegis"):
            stubs(screening, model)[0].kill()
            time.sleep(0.3)
        deadline_s = time.monotonic() + 60
        while screening.control.failures() or not all(
            any((event.kind, event.model) == ("restored", model) for event in events)
            for model in ("rejection", "aegis")
        ):
            assert time.monotonic() < deadline_s, events
            time.sleep(0.05)
        assert [client.moderate("How to make a bomb?", judge="never") for _ in range(8)] == [before] * 8


def test_without_it_the_dead_stay_dead_as_triton_leaves_them(screening: TritonServer) -> None:
    with Client(screening.grpc_url, timeout_s=10) as client:
        stubs(screening, "verdict")[0].kill()
        time.sleep(0.5)
        with pytest.raises(TribunalError, match="verdict"):
            client.moderate("a text", judge="never")


def test_the_model_of_an_instance() -> None:
    assert [model_of(name) for name in ("aegis_0_1", "judge_prompt_0", "manifest_0_0")] == [
        "aegis",
        "judge_prompt",
        "manifest",
    ]
