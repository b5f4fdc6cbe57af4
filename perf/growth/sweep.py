"""`python -m perf sweep`: latency under rising load, measured by NVIDIA's perf_analyzer.

It sends the workload to the full-size encoders over gRPC and HTTP, at 2 and 8 callers and at 10, 14 and 18
requests per second.
"""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from perf.load.perf_analyzer import PerfAnalyzer, install_perf_analyzer
from perf.load.workload import read_workload
from perf.samples import write_samples
from perf.serving.exports import export_encoders, full_size_repository
from perf.serving.servers import benchmark_server

# Each range is first value, last value and step.
CALLERS = (2, 8, 6)
RATES_PER_S = (10, 18, 4)
LOADS = (
    ("--concurrency-range", ":".join(map(str, CALLERS))),
    ("--request-rate-range", ":".join(map(str, RATES_PER_S))),
)
ROUNDS = 1
console = Console()


def sweep(analyzer: PerfAnalyzer, rounds: int) -> list[dict[str, Any]]:
    """Measure each load over each protocol, in every round; returns one sample for each measurement."""
    texts = read_workload()
    samples: list[dict[str, Any]] = []
    with benchmark_server(full_size_repository("fp32"), "sweep") as server:
        urls = {"grpc": server.grpc_url, "http": server.http_url.removeprefix("http://")}
        for _ in range(rounds):
            for protocol, url in urls.items():
                for load in LOADS:
                    with console.status(f"perf_analyzer: {protocol} {' '.join(load)}"):
                        rows = analyzer.measure(url, protocol, load, texts)
                    samples.append({"protocol": protocol, "load": load, "rows": rows})
    return samples


def sweep_table(sample: dict[str, Any]) -> Table:
    """The latencies of one sample at each step of its load."""
    # The first column of perf_analyzer's report is the number of callers or the request rate.
    load_column = next(iter(sample["rows"][0]))
    table = Table(load_column, "texts/s", "p50 ms", "p99 ms", title=sample["protocol"])
    for row in sample["rows"]:
        table.add_row(
            f"{row[load_column]:g}",
            f"{row['Inferences/Second']:.1f}",
            # perf_analyzer reports microseconds.
            f"{row['p50 latency'] / 1000:.0f}",
            f"{row['p99 latency'] / 1000:.0f}",
        )
    return table


def main(rounds: int, output: Path) -> None:
    """Measure, print the tables of the last round, and write all samples."""
    export_encoders()
    samples = sweep(install_perf_analyzer(), rounds)
    protocols = 2
    for sample in samples[-protocols * len(LOADS) :]:
        console.print(sweep_table(sample))
    write_samples(output, {"sweeps": samples})
