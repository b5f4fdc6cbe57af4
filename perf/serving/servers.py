"""Starts Tribunal servers for benchmarks, and measures a server's memory."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
from tribunal import Client

from launcher.exposure.ports import free_ports
from launcher.host.devices import available_cores
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from perf.load.callers import warm_up
from perf.paths import OUTPUT_FOLDER

CLIENT_TIMEOUT_S = 120


def benchmark_server(
    repository: Path,
    log_name: str,
    *,
    judge: bool = False,
    instances: int | None = None,
    cache_mib: int = 0,
    triton: Path | None = None,
) -> TritonServer:
    """A server on free ports, as a context manager.

    log_name: Triton's log is `build/perf/<log_name>.log`.
    judge: whether to serve the judge, too.
    instances: number of instances of each encoder; None for one for each core.
    cache_mib: size of the encoders' response cache in MiB; 0 for no cache.
    triton: a tritonserver other than the found one.
    """
    return TritonServer(
        ServerOptions(
            repository,
            ports=free_ports(),
            log_file=OUTPUT_FOLDER / f"{log_name}.log",
            judge=judge,
            instances=instances or available_cores(),
            cache_mib=cache_mib,
            triton=triton,
        )
    )


@contextlib.contextmanager
def warm_client(repository: Path, log_name: str, *, instances: int | None = None) -> Iterator[Client]:
    """Serve the encoders of `repository` and warm them up; yields a client of the server."""
    with (
        benchmark_server(repository, log_name, instances=instances) as server,
        Client(server.grpc_url, timeout_s=CLIENT_TIMEOUT_S) as client,
    ):
        warm_up(client)
        yield client


def memory_mib(pid: int) -> float:
    """Memory in MiB of the process `pid` and all its descendants; shared pages count once."""
    root = psutil.Process(pid)
    total_bytes = 0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total_bytes += process.memory_full_info().pss
    return total_bytes / 2**20
