"""`python -m perf shapes`: the cost of batches, long texts, repeated texts and many requests.

Each ratio compares two measurements that take turns in one run. All ratios but the last are the full-size
encoders'; the demonstration encoders show whether the server's memory grows over 20,000 requests.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from export_scripts.hub_models import ENCODERS
from perf.load.rounds import THROUGHPUT_CALLERS
from perf.load.workload import (
    REPEATED_SHARE,
    WINDOW_TOKENS,
    read_workload,
    text_of_tokens,
    text_of_windows,
    with_repeats,
)
from perf.paths import DEMO_REPOSITORY
from perf.samples import write_samples
from perf.serving.exports import export_encoders, full_size_repository
from perf.serving.servers import CLIENT_TIMEOUT_S, benchmark_server, memory_mib

BATCH_TEXTS = 32
WINDOWS = 20
CACHE_MIB = 64
REQUESTS = 20_000
MEMORY_READINGS = 4
ROUNDS = 5
console = Console()


@dataclass(frozen=True)
class Shapes:
    """The results, by their names in the samples.

    ratios: for each round, the time of a batch relative to its texts one by one, the time of a text of many
    windows relative to as many texts of one window, and the throughput with the cache relative to none.
    served_mib, weights_mib: memory of the server of the full-size encoders, and size of their ONNX files.
    demo_mib: memory of the server of the demonstration encoders before and during REQUESTS requests.
    """

    ratios: dict[str, list[float]]
    served_mib: float
    weights_mib: float
    demo_mib: list[float]


def elapsed_s(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def one_by_one_s(client: Client, texts: Sequence[str]) -> float:
    """Seconds that the texts take, each sent after the answer to the previous one."""
    return elapsed_s(lambda: [client.moderate(text, judge="never") for text in texts])


def concurrently_s(client: Client, texts: Sequence[str]) -> float:
    """Seconds that the texts take, sent by THROUGHPUT_CALLERS callers."""
    with ThreadPoolExecutor(THROUGHPUT_CALLERS) as pool:
        return elapsed_s(lambda: list(pool.map(lambda text: client.moderate(text, judge="never"), texts)))


def measure_ratios(client: Client, cached: Client, rounds: int) -> dict[str, list[float]]:
    """Ratios by round; `cached` is a client of the server with a cache."""
    batch = read_workload()[:BATCH_TEXTS]
    window_texts = [text_of_tokens(WINDOW_TOKENS, seed) for seed in range(WINDOWS)]
    long_text = text_of_windows(WINDOWS, seed=WINDOWS)
    verdict = client.moderate(long_text, judge="never")
    if (verdict.windows, verdict.truncated) != (WINDOWS, False):
        raise RuntimeError(f"the long text has {verdict.windows} windows instead of {WINDOWS}")
    ratios: dict[str, list[float]] = {"batch": [], "windows": [], "cache": []}
    for number in track(range(rounds), "shapes", console=console):
        batch_s = elapsed_s(lambda: client.moderate_batch(batch, judge="never"))
        ratios["batch"].append(batch_s / one_by_one_s(client, batch))
        long_s = elapsed_s(lambda: client.moderate(long_text, judge="never"))
        ratios["windows"].append(long_s / one_by_one_s(client, window_texts))
        # The number makes every text of a round a cache miss.
        repeated = with_repeats([f"{number} {text}" for text in read_workload()])
        uncached_s = concurrently_s(client, repeated)
        ratios["cache"].append(uncached_s / concurrently_s(cached, repeated))
    return ratios


def measure_full_size(rounds: int) -> tuple[dict[str, list[float]], float]:
    """Ratios by round, and then the memory in MiB of the server without a cache."""
    repository = full_size_repository("fp32")
    with (
        benchmark_server(repository, "shapes") as server,
        benchmark_server(repository, "cached", cache_mib=CACHE_MIB) as cached,
        Client(server.grpc_url, timeout_s=CLIENT_TIMEOUT_S) as client,
        Client(cached.grpc_url, timeout_s=CLIENT_TIMEOUT_S) as cached_client,
    ):
        ratios = measure_ratios(client, cached_client, rounds)
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


def shapes_table(shapes: Shapes) -> Table:
    """Each ratio with the names of its two sides."""
    median = {name: statistics.median(values) for name, values in shapes.ratios.items()}
    first_mib, last_mib = shapes.demo_mib[0], shapes.demo_mib[-1]
    table = Table("measured", "relative to", "ratio")
    table.add_row(
        f"time of a batch of {BATCH_TEXTS} mixed texts", "its texts one by one", f"{median['batch']:.2f}"
    )
    table.add_row(
        f"time of a text of {WINDOWS} windows",
        f"{WINDOWS} texts of one window",
        f"{median['windows']:.2f}",
    )
    table.add_row(
        f"throughput with the cache, {REPEATED_SHARE:.0%} repeated texts",
        "throughput without",
        f"{median['cache']:.2f}",
    )
    table.add_row(
        f"memory of the server ({shapes.served_mib:.0f} MiB)",
        f"its weights ({shapes.weights_mib:.0f} MiB)",
        f"{shapes.served_mib / shapes.weights_mib:.2f}",
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
    shapes = Shapes(
        ratios=ratios,
        served_mib=served_mib,
        weights_mib=sum(path.stat().st_size for path in weights) / 2**20,
        demo_mib=measure_memory_growth(),
    )
    console.print(shapes_table(shapes))
    write_samples(output, asdict(shapes))
