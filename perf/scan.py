"""`python -m perf scan`: `tribunal scan` and NVIDIA's perf_analyzer in turns on one server of demo weights.

Short texts, judge=never. The best of perf_analyzer's LOADS counts. Reads the memory of the scanning process
as it goes.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from export_scripts.demo.text import read_judgements, read_text
from export_scripts.hub_models import ENCODERS
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from perf.compare import FOLDER
from perf.hardware import describe_hardware
from perf.sweep import analyze, find_perf_analyzer

TEXTS = 100_000
SEED = 11
# Callers, and texts in a request; the last is how a scan asks by default.
LOADS = ((8, 1), (16, 1), (4, 32))
SAMPLE_INTERVAL_S = 1.0
# perf_analyzer gets a sample of the texts, so many times those of a request, and measures on all of it.
MEASURED_TEXTS = 3_000
console = Console()


def short_texts(count: int) -> list[str]:
    """`count` texts of one sentence, no two alike."""
    chance = random.Random(SEED)  # noqa: S311 - no secret
    sentences = [row["text"] for row in read_judgements("heldout")]
    for encoder in ENCODERS.values():
        sentences += read_text(encoder, "heldout")[0]
    return [f"{chance.choice(sentences)} {number}" for number in range(count)]


def scan(url: str, source: Path, folder: Path) -> dict[str, Any]:
    """Scan `source`: seconds in all, start of the process included, and its memory in MiB by second."""
    output = folder / "out.jsonl"
    command = [sys.executable, "-m", "tribunal", "scan", str(source), "-o", str(output), "--judge", "never"]
    started_s = time.perf_counter()
    process = psutil.Popen([*command, "--url", url, "--overwrite"], stderr=subprocess.DEVNULL)
    memory_mib: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_INTERVAL_S):
            memory_mib.append(process.memory_info().rss / 2**20)

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = process.wait()
    elapsed_s = time.perf_counter() - started_s
    ended.set()
    watcher.join()
    with output.open("rb") as lines:
        written = sum(1 for _ in lines)
    if status or written != TEXTS:
        raise RuntimeError(f"the scan ended with status {status} after {written} records")
    return {"texts_per_s": TEXTS / elapsed_s, "memory_mib": memory_mib}


def main(rounds: int, output: Path) -> None:
    """Measure in turns, print the medians, and keep the samples."""
    binary = find_perf_analyzer()
    FOLDER.mkdir(parents=True, exist_ok=True)
    texts = short_texts(TEXTS)
    samples: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as made,
        TritonServer(
            ServerOptions(
                CHECKOUT / "build" / "demo_repository",
                ports=free_ports(),
                log_file=FOLDER / "scan.log",
                judge=False,
            )
        ) as server,
    ):
        source = Path(made) / "in.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
        for _ in range(rounds):
            with console.status("tribunal scan"):
                scanned = scan(server.grpc_url, source, Path(made))
            analyzed = {}
            for callers, batch in LOADS:
                with console.status(f"perf_analyzer: {callers} callers, {batch} texts in a request"):
                    load = ["--concurrency-range", str(callers)]
                    (row,) = analyze(
                        binary, server.grpc_url, "grpc", load, texts[: MEASURED_TEXTS * batch], batch
                    )
                analyzed[f"{callers} callers, {batch} texts in a request"] = row["Inferences/Second"]
            samples.append({"scan": scanned, "perf_analyzer": analyzed})
    table = Table("what", "texts/s")
    for load_name in samples[0]["perf_analyzer"]:
        reached = statistics.median(sample["perf_analyzer"][load_name] for sample in samples)
        table.add_row(f"perf_analyzer, {load_name}", f"{reached:.0f}")
    best = statistics.median(max(sample["perf_analyzer"].values()) for sample in samples)
    median = statistics.median(sample["scan"]["texts_per_s"] for sample in samples)
    table.add_row("tribunal scan", f"{median:.0f}")
    table.add_row("ratio to the best", f"{median / best:.2f}")
    console.print(table)
    memory_mib = samples[-1]["scan"]["memory_mib"]
    quarter = len(memory_mib) // 4
    console.print(
        f"memory of the client: {memory_mib[quarter]:.0f} MiB after a quarter, "
        f"{memory_mib[2 * quarter]:.0f} after half, {memory_mib[-1]:.0f} at the end, "
        f"most {max(memory_mib):.0f}"
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"hardware": describe_hardware(), "samples": samples}), "utf-8")
    console.print(f"samples: {output}")
