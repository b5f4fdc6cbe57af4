"""`python -m perf shapes`: what batches, long texts, repeats and many requests cost.

Each is a ratio of two measurements that take turns in one run, on the full-size encoders.
"""

import json
import random
import statistics
import string
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from export_scripts.hub_models import ENCODERS
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from perf.compare import FOLDER, prepare
from perf.hardware import describe_hardware
from perf.memory import memory_mib
from perf.workload import read_texts

BATCH = 32
WINDOWS = 20
WINDOW_WORDS, STRIDE_WORDS = 510, 446
REPEATED_SHARE = 0.3
CALLERS = 8
REQUESTS = 20_000
CACHE_MIB = 64
SEED = 5
console = Console()


def elapsed_s(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def with_repeats(texts: Sequence[str]) -> list[str]:
    """As many texts, REPEATED_SHARE of them seen before in the list."""
    chance = random.Random(SEED)  # noqa: S311 - no secret
    drawn: list[str] = []
    for text in texts:
        drawn.append(chance.choice(drawn) if drawn and chance.random() < REPEATED_SHARE else text)
    return drawn


def letters(words: int, seed: int) -> str:
    """A text of so many tokens: each letter is a word of one token in both vocabularies."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    return " ".join(chance.choices(string.ascii_lowercase, k=words))


def measure_shapes(client: Client, cached: Client, rounds: int) -> dict[str, list[float]]:
    """Ratios by round: batch to singles, windows to single windows, with the cache to without."""
    mixed = read_texts()[:BATCH]
    singles = [letters(WINDOW_WORDS, seed) for seed in range(WINDOWS)]
    long = letters(WINDOW_WORDS + (WINDOWS - 1) * STRIDE_WORDS, WINDOWS)
    verdict = client.moderate(long, judge="never")
    if (verdict.windows, verdict.truncated) != (WINDOWS, False):
        raise RuntimeError(f"the long text has {verdict.windows} windows")
    ratios: dict[str, list[float]] = {"batch": [], "windows": [], "cache": []}

    def one_by_one(texts: Sequence[str]) -> None:
        for text in texts:
            client.moderate(text, judge="never")

    def through(chosen: Client, texts: Sequence[str]) -> None:
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda text: chosen.moderate(text, judge="never"), texts))

    for number in track(range(rounds), "shapes", console=console):
        together_s = elapsed_s(lambda: client.moderate_batch(mixed, judge="never"))
        ratios["batch"].append(together_s / elapsed_s(lambda: one_by_one(mixed)))
        long_s = elapsed_s(lambda: client.moderate(long, judge="never"))
        ratios["windows"].append(long_s / elapsed_s(lambda: one_by_one(singles)))
        # The cache has seen no text of a round before it.
        repeated = with_repeats([f"{number} {text}" for text in read_texts()])
        uncached_s = elapsed_s(lambda texts=repeated: through(client, texts))  # type: ignore[misc]
        ratios["cache"].append(
            uncached_s / elapsed_s(lambda texts=repeated: through(cached, texts))  # type: ignore[misc]
        )
    return ratios


def measure_memory(rounds: int = 4) -> list[float]:
    """MiB of a server of the demo weights, before and after each quarter of REQUESTS requests.

    It has seen every text of the workload before; the requests are of the shorter half.
    """
    repository = CHECKOUT / "build" / "demo_repository"
    with (
        TritonServer(
            ServerOptions(repository, ports=free_ports(), log_file=FOLDER / "memory.log", judge=False)
        ) as server,
        Client(server.grpc_url, timeout_s=60) as client,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        texts = read_texts()
        list(pool.map(lambda text: client.moderate(text, judge="never"), texts))
        texts = sorted(texts, key=len)[: len(texts) // 2]
        sizes_mib = [memory_mib(server.pid)]
        for _ in track(range(rounds), f"{REQUESTS} requests", console=console):
            wanted = [texts[index % len(texts)] for index in range(REQUESTS // rounds)]
            list(pool.map(lambda text: client.moderate(text, judge="never"), wanted))
            sizes_mib.append(memory_mib(server.pid))
    return sizes_mib


def main(rounds: int, output: Path) -> None:
    """Measure, print the ratios, and keep the samples."""
    prepare()
    repository = FOLDER / "fp32"
    weights_mib = sum((repository / name / "1" / "model.onnx").stat().st_size for name in ENCODERS) / 2**20
    with (
        TritonServer(
            ServerOptions(repository, ports=free_ports(), log_file=FOLDER / "shapes.log", judge=False)
        ) as server,
        TritonServer(
            ServerOptions(
                repository,
                ports=free_ports(),
                log_file=FOLDER / "cached.log",
                judge=False,
                cache_mib=CACHE_MIB,
            )
        ) as cached,
        Client(server.grpc_url, timeout_s=120) as client,
        Client(cached.grpc_url, timeout_s=120) as cached_client,
    ):
        ratios = measure_shapes(client, cached_client, rounds)
        # The two servers share the mapped weights, so one is stopped before memory is read.
        cached.stop()
        served_mib = memory_mib(server.pid)
    sizes_mib = measure_memory()
    table = Table("what", "ratio")
    median = {name: statistics.median(values) for name, values in ratios.items()}
    table.add_row(f"a batch of {BATCH} mixed texts, to its texts one by one", f"{median['batch']:.2f}")
    table.add_row(f"a text of {WINDOWS} windows, to {WINDOWS} texts of one", f"{median['windows']:.2f}")
    table.add_row(
        f"throughput with the cache, {REPEATED_SHARE:.0%} repeats, to without", f"{median['cache']:.2f}"
    )
    table.add_row(
        f"memory of the server ({served_mib:.0f} MiB) to its weights ({weights_mib:.0f} MiB)",
        f"{served_mib / weights_mib:.2f}",
    )
    table.add_row(
        f"memory after {REQUESTS} requests to before: {sizes_mib[-1]:.0f} to {sizes_mib[0]:.0f} MiB (demo)",
        f"{sizes_mib[-1] / sizes_mib[0]:.2f}",
    )
    console.print(table)
    document = {
        "hardware": describe_hardware(),
        "ratios": ratios,
        "served_mib": served_mib,
        "weights_mib": weights_mib,
        "demo_mib": sizes_mib,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document), "utf-8")
    console.print(f"samples: {output}")
