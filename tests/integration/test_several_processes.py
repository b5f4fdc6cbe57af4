"""Several processes of `tokenizer` and `verdict`, as on a host with a GPU: their metrics add up."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from tribunal import Client

from launcher.exposure.ports import free_ports
from launcher.host.tuning import PYTHON_STEPS
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.metrics import settle, value

TEXTS = ["I could strangle him.", "The bread is fresh.", "Sorry, but I can't assist with that."] * 40
LONG = "The bread is fresh. " * 400


@pytest.fixture(scope="module")
def server(demo_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server of the demo encoders with two processes of each step in Python."""
    repository = tmp_path_factory.mktemp("several") / "repository"
    shutil.copytree(demo_repository, repository)
    for name in PYTHON_STEPS:
        with (repository / name / "config.pbtxt").open("a") as config:
            config.write("instance_group [ { kind: KIND_CPU count: 2 } ]\n")
    options = ServerOptions(repository, repository.parent / "log", ports=free_ports(), judge=False)
    with TritonServer(options) as running:
        yield running


def busy_stubs(model: str) -> int:
    """Processes of `model` that this test's server runs and that have worked."""
    commands = [process.info for process in psutil.process_iter(["cmdline", "cpu_times"])]
    return sum(
        info["cpu_times"].user > 0
        for info in commands
        if info["cmdline"] and any(f"/several0/repository/{model}/" in word for word in info["cmdline"])
    )


def test_metrics_are_those_of_all_processes(server: TritonServer) -> None:
    with Client(server.grpc_url) as client, ThreadPoolExecutor(8) as callers:
        verdicts = [
            *callers.map(lambda text: client.moderate(text, judge="never"), TEXTS),
            *client.moderate_batch([LONG, *TEXTS[:20]], judge="never"),
        ]
    samples = settle(server)
    flagged = sum(verdict.flagged for verdict in verdicts)
    assert 0 < flagged < len(verdicts)
    assert value(samples, "tribunal_verdicts_total", flagged="true") == flagged
    assert value(samples, "tribunal_verdicts_total", flagged="false") == len(verdicts) - flagged
    assert value(samples, "tribunal_text_bytes_count") == len(verdicts)
    assert value(samples, "tribunal_text_windows_sum") == sum(verdict.windows for verdict in verdicts)
    assert {model: busy_stubs(model) for model in PYTHON_STEPS} == dict.fromkeys(PYTHON_STEPS, 2)
