"""`python -m perf sweep`: NVIDIA's perf_analyzer against the full-size encoders.

Sweeps the number of callers, then the rate of requests, over gRPC and HTTP, on the workload.
"""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from ctypes.util import find_library
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.installation import find_installation
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from perf.compare import FOLDER, prepare
from perf.hardware import describe_hardware
from perf.workload import read_texts

TOOLS = CHECKOUT / "build" / "tools"
# The last wheel whose perf_analyzer runs on the C library of Debian 12.
PERF_ANALYZER = "tritonclient==2.51.0"
# First, last and step.
CALLERS = (2, 8, 6)
RATES_PER_S = (10, 18, 4)
console = Console()


def find_perf_analyzer() -> Path:
    """Install perf_analyzer apart, where no other package sees its older tritonclient.

    Raises RuntimeError where the system lacks a library that it needs.
    """
    if find_library("b64") is None:
        raise RuntimeError("perf_analyzer needs libb64: run `apt-get install libb64-0d` as root")
    binary = TOOLS / "bin" / "perf_analyzer"
    if not binary.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(TOOLS),
            PERF_ANALYZER,
        ]
        subprocess.run(command, check=True)
    libraries = find_installation().library_folders[-1]
    # The wheel of Triton carries CUDA's runtime under a name of its own.
    (runtime,) = libraries.glob("libcudart-*.so.12*")
    linked = TOOLS / "lib" / "libcudart.so.12"
    linked.parent.mkdir(exist_ok=True)
    linked.unlink(missing_ok=True)
    linked.symlink_to(runtime)
    return binary


def analyze(
    binary: Path, url: str, protocol: str, load: list[str], texts: Sequence[str], batch: int = 1
) -> list[dict[str, float]]:
    """Rows of perf_analyzer's report on `texts`, `batch` of them in a request, by its own column names."""
    data = FOLDER / "workload.json"
    data.write_text(json.dumps({"data": [{"text": [text], "judge": ["never"]} for text in texts]}), "utf-8")
    report = FOLDER / "perf_analyzer.csv"
    command = [
        *(str(binary), "-m", "moderation", "-u", url, "-i", protocol, "--input-data", str(data)),
        # Three windows of measurement are the least it takes, and together one pass over the workload;
        # texts of mixed lengths never pass its test of being stable.
        *(
            "--measurement-mode",
            "count_windows",
            "--measurement-request-count",
            str(len(texts) // batch // 3 + 1),
        ),
        *("-b", str(batch)),
        *("--percentile", "99", "--stability-percentage", "999", "-f", str(report), *load),
    ]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(TOOLS / "lib")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and not report.exists():
        raise RuntimeError(f"perf_analyzer failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    with report.open(encoding="utf-8") as lines:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(lines)]
    report.unlink()
    return rows


def main(rounds: int, output: Path) -> None:
    """Sweep `rounds` times, print the last sweep, and keep all."""
    prepare()
    binary = find_perf_analyzer()
    sweeps: list[dict[str, Any]] = []
    texts = read_texts()
    with TritonServer(
        ServerOptions(FOLDER / "fp32", ports=free_ports(), log_file=FOLDER / "sweep.log", judge=False)
    ) as server:
        urls = {"grpc": server.grpc_url, "http": server.http_url.removeprefix("http://")}
        for _ in range(rounds):
            for protocol, url in urls.items():
                for load in (
                    ["--concurrency-range", ":".join(map(str, CALLERS))],
                    ["--request-rate-range", ":".join(map(str, RATES_PER_S))],
                ):
                    with console.status(f"perf_analyzer: {protocol} {' '.join(load)}"):
                        rows = analyze(binary, url, protocol, load, texts)
                    sweeps.append({"protocol": protocol, "load": load, "rows": rows})
    for sweep in sweeps[-4:]:
        print_sweep(sweep["protocol"], sweep["rows"])
    output.write_text(json.dumps({"hardware": describe_hardware(), "sweeps": sweeps}), "utf-8")
    console.print(f"samples: {output}")


def print_sweep(protocol: str, rows: list[dict[str, float]]) -> None:
    """One table a sweep; perf_analyzer gives microseconds."""
    axis = next(iter(rows[0]))
    table = Table(axis, "texts/s", "p50 ms", "p99 ms", title=protocol)
    for row in rows:
        table.add_row(
            f"{row[axis]:g}",
            f"{row['Inferences/Second']:.1f}",
            f"{row['p50 latency'] / 1000:.0f}",
            f"{row['p99 latency'] / 1000:.0f}",
        )
    console.print(table)
