"""The encoders' processes free the memory of a long request."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tribunal import Client

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.recovery.processes import ServerProcesses
from perf.load.workload import text_of_windows

SETTLE_S, WAIT_S = 8.0, 30.0
# A long request takes about 18 MiB more than these.
KEPT_MIB = 8


@pytest.fixture(scope="module")
def screening(demo_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """The demo encoders without the judge."""
    log_file = tmp_path_factory.mktemp("memory") / "log"
    with TritonServer(ServerOptions(demo_repository, log_file, ports=free_ports(), judge=False)) as running:
        yield running


@pytest.mark.parametrize("encoder", ["aegis", "rejection"])
def test_the_memory_of_a_long_request_goes_back_to_the_system(screening: TritonServer, encoder: str) -> None:
    processes = [
        psutil.Process(pid)
        for pid, model in ServerProcesses(screening.pid, screening.models).stubs().items()
        if model == encoder
    ]

    def largest_mib() -> float:
        return max(process.memory_info().rss for process in processes) / 2**20

    with Client(screening.grpc_url) as client:
        for text in (text_of_windows(1, seed) for seed in range(4)):
            client.moderate(text, judge="never")
        time.sleep(SETTLE_S)
        before_mib = largest_mib()
        client.moderate_batch([text_of_windows(8, seed) for seed in range(16)], judge="never")
    deadline_s = time.monotonic() + WAIT_S
    while largest_mib() > before_mib + KEPT_MIB and time.monotonic() < deadline_s:
        time.sleep(0.5)
    assert largest_mib() <= before_mib + KEPT_MIB
