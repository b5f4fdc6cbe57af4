"""`python -m perf scan`: texts per second of `tribunal scan` and of NVIDIA's perf_analyzer.

The two take turns on one server of the demonstration models, without the judge. For perf_analyzer, the best
load counts. The memory of the scanning process is read every second.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from launcher.recovery.background import Background
from perf.load.perf_analyzer import PerfAnalyzer, install_perf_analyzer
from perf.load.workload import short_texts
from perf.paths import DEMO_REPOSITORY
from perf.samples import write_samples
from perf.serving.servers import benchmark_server

TEXTS = 100_000
# Callers, and texts in a request; the last pair is the default of `tribunal scan`.
LOADS = ((8, 1), (16, 1), (4, 32))
# Number of requests in perf_analyzer's sample of the texts.
ANALYZED_REQUESTS = 3_000
READING_INTERVAL_S = 1.0
ROUNDS = 1
console = Console()


def measure_scan(url: str, source: Path, output: Path) -> dict[str, Any]:
    """Scan `source`; returns texts per second, including the process's start, and its MiB by second.

    Raises RuntimeError if the scan fails or `output` lacks records.
    """
    command = [sys.executable, "-m", "tribunal", "scan", str(source), "-o", str(output), "--judge", "never"]
    started_s = time.perf_counter()
    process = psutil.Popen([*command, "--url", url, "--overwrite"], stderr=subprocess.DEVNULL)
    memory_mib: list[float] = []
    with Background(lambda: memory_mib.append(process.memory_info().rss / 2**20), READING_INTERVAL_S):
        status = process.wait()
        elapsed_s = time.perf_counter() - started_s
    with output.open("rb") as lines:
        records = sum(1 for _ in lines)
    if status or records != TEXTS:
        raise RuntimeError(f"the scan ended with status {status} after {records} records")
    return {"texts_per_s": TEXTS / elapsed_s, "memory_mib": memory_mib}


def measure_analyzer(analyzer: PerfAnalyzer, url: str, texts: Sequence[str]) -> dict[str, float]:
    """Texts per second that perf_analyzer reaches with each load."""
    texts_per_s = {}
    for callers, request_texts in LOADS:
        load_name = f"{callers} callers, {request_texts} texts in a request"
        with console.status(f"perf_analyzer: {load_name}"):
            load = ["--concurrency-range", str(callers)]
            (row,) = analyzer.measure(
                url, "grpc", load, texts[: ANALYZED_REQUESTS * request_texts], request_texts
            )
        texts_per_s[load_name] = row["Inferences/Second"]
    return texts_per_s


def measure(rounds: int) -> list[dict[str, Any]]:
    """A sample of the scan and of perf_analyzer for each round."""
    analyzer = install_perf_analyzer()
    texts = short_texts(TEXTS)
    samples: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, benchmark_server(DEMO_REPOSITORY, "scan") as server:
        source = Path(folder) / "in.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
        for _ in range(rounds):
            with console.status("tribunal scan"):
                scanned = measure_scan(server.grpc_url, source, Path(folder) / "out.jsonl")
            analyzed = measure_analyzer(analyzer, server.grpc_url, texts)
            samples.append({"scan": scanned, "perf_analyzer": analyzed})
    return samples


def scan_table(samples: Sequence[dict[str, Any]]) -> Table:
    """Median texts per second of each, and the scan's ratio to perf_analyzer's best load."""
    table = Table("sent by", "texts/s")
    for load_name in samples[0]["perf_analyzer"]:
        rate = statistics.median(sample["perf_analyzer"][load_name] for sample in samples)
        table.add_row(f"perf_analyzer, {load_name}", f"{rate:.0f}")
    best = statistics.median(max(sample["perf_analyzer"].values()) for sample in samples)
    scan = statistics.median(sample["scan"]["texts_per_s"] for sample in samples)
    table.add_row("tribunal scan", f"{scan:.0f}")
    table.add_row("tribunal scan, relative to perf_analyzer's best load", f"{scan / best:.2f}")
    return table


def main(rounds: int, output: Path) -> None:
    """Measure in turns, print the medians and the memory of the last scan, and write the samples."""
    samples = measure(rounds)
    console.print(scan_table(samples))
    memory_mib = samples[-1]["scan"]["memory_mib"]
    quarter = len(memory_mib) // 4
    console.print(
        f"memory of the last scan: {memory_mib[quarter]:.0f} MiB after a quarter of it, "
        f"{memory_mib[2 * quarter]:.0f} MiB after half, {memory_mib[-1]:.0f} MiB at its end, "
        f"{max(memory_mib):.0f} MiB at most"
    )
    write_samples(output, {"samples": samples})
