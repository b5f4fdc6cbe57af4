"""`python -m perf start`: seconds from launch until every demonstration model is ready.

A cold start is the first start after an export: there are no files for this host yet, such as prepacked
weights, and the system's file cache is dropped if permitted (as root). A warm start is any later one.
"""

import os
import signal
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from perf.paths import DEMO_REPOSITORY
from perf.samples import write_samples
from perf.serving.servers import benchmark_server

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
ROUNDS = 5
console = Console()


def make_next_start_cold(repository: Path) -> bool:
    """Remove the host's files of earlier starts; returns False if the file cache could not be dropped."""
    for host_file in repository.rglob("local.*"):
        host_file.unlink()
    os.sync()
    try:
        DROP_CACHES.write_text("3\n", "utf-8")
    except OSError:
        return False
    return True


def start_time_s(repository: Path, *, judge: bool) -> float:
    """Seconds that one start takes; the server is killed afterwards."""
    started_s = time.perf_counter()
    with benchmark_server(repository, "start", judge=judge) as server:
        elapsed_s = time.perf_counter() - started_s
        os.killpg(server.pid, signal.SIGKILL)
    return elapsed_s


def main(rounds: int, output: Path) -> None:
    """Start cold and warm, the encoders `rounds` times and the judge once, and print the medians."""
    samples: dict[str, list[float]] = {}
    cache_dropped = True
    for judge, repeats in ((False, rounds), (True, 1)):
        label = "with the judge" if judge else "encoders alone"
        for _ in track(range(repeats), f"starting, {label}", console=console):
            cache_dropped = make_next_start_cold(DEMO_REPOSITORY) and cache_dropped
            for temperature in ("cold", "warm"):
                seconds = start_time_s(DEMO_REPOSITORY, judge=judge)
                samples.setdefault(f"{label}, {temperature}", []).append(seconds)
    caption = "" if cache_dropped else "cold starts kept the system's file cache: only root may drop it"
    table = Table("start", "seconds", caption=caption)
    for label, values in samples.items():
        table.add_row(label, f"{statistics.median(values):.1f}")
    console.print(table)
    write_samples(output, {"dropped_file_cache": cache_dropped, "start_s": samples})
