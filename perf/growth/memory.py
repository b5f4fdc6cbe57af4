"""`python -m perf memory`: the server's memory, its growth with requests, and the gain from a cache.

The throughputs with and without the cache take turns, on the full-size encoders. The demonstration encoders
show whether the server's memory grows over 20,000 requests.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from export_scripts.hub_models import ENCODERS
from perf.load.callers import screening, send_texts
from perf.load.rounds import THROUGHPUT_LOAD
from perf.load.workload import (
    REPEATED_SHARE,
    read_workload,
    with_repeats,
)
from perf.paths import DEMO_REPOSITORY
from perf.samples import write_samples
from perf.serving.exports import export_encoders, full_size_repository
from perf.serving.servers import CLIENT_TIMEOUT_S, benchmark_server, memory_mib

CACHE_MIB = 64
REQUESTS = 20_000
MEMORY_READINGS = 4
ROUNDS = 5
console = Console()


@dataclass(frozen=True)
class Memory:
    """The results, by their names in the samples.

    cache_ratios: for each round, the throughput with the cache relative to none.
    served_mib, weights_mib: memory of the server of the full-size encoders, and size of their ONNX files.
    demo_mib: memory of the server of the demonstration encoders before and during REQUESTS requests.
    """

    cache_ratios: list[float]
    served_mib: float
    weights_mib: float
    demo_mib: list[float]


def concurrently_s(client: Client, texts: Sequence[str]) -> float:
    """Seconds that the texts take, under THROUGHPUT_LOAD; raises RuntimeError if texts failed."""
    round_ = send_texts(screening(client), texts, THROUGHPUT_LOAD)
    if round_.failures:
        raise RuntimeError(f"{round_.failures} texts failed")
    return round_.elapsed_s


def measure_cache(client: Client, cached: Client, rounds: int) -> list[float]:
    """Ratios by round; `cached` is a client of the server with a cache."""
    ratios = []
    for number in track(range(rounds), "cache", console=console):
        # The number makes every text of a round a cache miss.
        repeated = with_repeats([f"{number} {text}" for text in read_workload()])
        uncached_s = concurrently_s(client, repeated)
        ratios.append(uncached_s / concurrently_s(cached, repeated))
    return ratios


def measure_full_size(rounds: int) -> tuple[list[float], float]:
    """Ratios by round, and then the memory in MiB of the server without a cache."""
    repository = full_size_repository("fp32")
    with (
        benchmark_server(repository, "memory_full_size") as server,
        benchmark_server(repository, "cached", cache_mib=CACHE_MIB) as cached,
        Client(server.grpc_url, timeout_s=CLIENT_TIMEOUT_S) as client,
        Client(cached.grpc_url, timeout_s=CLIENT_TIMEOUT_S) as cached_client,
    ):
        ratios = measure_cache(client, cached_client, rounds)
        # While both servers run, they share the pages of the weights, and only a part would count.
        cached.stop()
        return ratios, memory_mib(server.pid)


def measure_memory_growth() -> list[float]:
    """Memory in MiB of a server of the demonstration encoders, before and after each quarter of REQUESTS.

    The server screens the whole workload before the first reading; the requests send its shorter half.
    """
    with (
        benchmark_server(DEMO_REPOSITORY, "memory") as server,
        Client(server.grpc_url, timeout_s=CLIENT_TIMEOUT_S) as client,
    ):
        texts = sorted(read_workload(), key=len)
        concurrently_s(client, texts)
        short = texts[: len(texts) // 2]
        readings_mib = [memory_mib(server.pid)]
        for _ in track(range(MEMORY_READINGS), f"{REQUESTS} requests", console=console):
            concurrently_s(
                client, [short[index % len(short)] for index in range(REQUESTS // MEMORY_READINGS)]
            )
            readings_mib.append(memory_mib(server.pid))
    return readings_mib


def memory_table(memory: Memory) -> Table:
    """Each ratio with the names of its two sides."""
    first_mib, last_mib = memory.demo_mib[0], memory.demo_mib[-1]
    table = Table("measured", "relative to", "ratio")
    table.add_row(
        f"throughput with the cache, {REPEATED_SHARE:.0%} repeated texts",
        "throughput without",
        f"{statistics.median(memory.cache_ratios):.2f}",
    )
    table.add_row(
        f"memory of the server ({memory.served_mib:.0f} MiB)",
        f"its weights ({memory.weights_mib:.0f} MiB)",
        f"{memory.served_mib / memory.weights_mib:.2f}",
    )
    table.add_row(
        f"memory of the demonstration server after {REQUESTS} requests ({last_mib:.0f} MiB)",
        f"before ({first_mib:.0f} MiB)",
        f"{last_mib / first_mib:.2f}",
    )
    return table


def main(rounds: int, output: Path) -> None:
    """Measure, print the ratios, and write the samples."""
    export_encoders()
    repository = full_size_repository("fp32")
    weights = [repository / name / "1" / "model.onnx" for name in ENCODERS]
    ratios, served_mib = measure_full_size(rounds)
    memory = Memory(
        cache_ratios=ratios,
        served_mib=served_mib,
        weights_mib=sum(path.stat().st_size for path in weights) / 2**20,
        demo_mib=measure_memory_growth(),
    )
    console.print(memory_table(memory))
    write_samples(output, asdict(memory))
