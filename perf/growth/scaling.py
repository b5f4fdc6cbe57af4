"""`python -m perf scaling`: throughput and CPU time by length, batch, callers and instances.

Servers of the full-size encoders in fp32 and int8 take turns; each instance has one thread. One quantity
changes at a time. The table compares each throughput with the processor's limit.
"""

import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import track
from tribunal import Client

from launcher.process.server import TritonServer
from perf.growth.processor_limit import core_gflop_per_s, mean_gflop
from perf.growth.scaling_loads import BASE, VALUES, ScalingLoad, loads
from perf.growth.scaling_report import Sample, scaling_table
from perf.load.callers import screening, send_texts, warm_up
from perf.load.rounds import Load
from perf.samples import read_samples, write_samples
from perf.serving.core_meter import used_s
from perf.serving.exports import CHECKPOINTS, PRECISIONS, export_encoders, full_size_repository
from perf.serving.servers import CLIENT_TIMEOUT_S, benchmark_server

ROUNDS = 3
console = Console()


def send(server: TritonServer, client: Client, load: ScalingLoad, texts: Sequence[str]) -> dict[str, float]:
    """Send the texts; returns texts per second, the server's CPU milliseconds for a text, and p50 in ms.

    Raises RuntimeError if texts failed.
    """
    process = psutil.Process(server.pid)
    before_s = used_s(process)
    round_ = send_texts(screening(client), texts, Load(load.callers, load.request_texts))
    if round_.failures:
        raise RuntimeError(f"{round_.failures} texts failed")
    return {
        "texts_per_s": round_.texts_per_s,
        "cpu_ms": (used_s(process) - before_s) * 1000 / len(texts),
        "p50_ms": statistics.median(round_.latencies_ms),
    }


def measure(rounds: int) -> tuple[dict[str, list[float]], list[Sample]]:
    """A core's GFLOP/s in each round by precision, and the rounds of each precision and load."""
    core_gflop: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    samples: list[Sample] = [
        {
            "precision": precision,
            "load": asdict(load),
            "gflop": mean_gflop(CHECKPOINTS, full_size_repository(precision), load.texts(seed=0)),
            "rounds": [],
        }
        for precision in PRECISIONS
        for load in loads()
    ]
    with contextlib.ExitStack() as stack:
        servers: dict[tuple[str, int], tuple[TritonServer, Client]] = {}
        for precision in PRECISIONS:
            for instances in VALUES["instances"]:
                server = benchmark_server(
                    full_size_repository(precision), f"scaling_{precision}_{instances}", instances=instances
                )
                stack.enter_context(server)
                client = stack.enter_context(Client(server.grpc_url, timeout_s=CLIENT_TIMEOUT_S))
                warm_up(client)
                servers[precision, instances] = server, client
        for number in track(range(rounds), "scaling", console=console):
            for precision in PRECISIONS:
                core_gflop[precision].append(core_gflop_per_s(precision))
            for sample in samples:
                load = ScalingLoad(**sample["load"])
                server, client = servers[sample["precision"], load.instances]
                sample["rounds"].append(send(server, client, load, load.texts(seed=number)))
    return core_gflop, samples


def main(rounds: int, output: Path) -> None:
    """Measure, write the samples, and print a table for each precision and quantity."""
    export_encoders()
    core_gflop, samples = measure(rounds)
    write_samples(output, {"core_gflop_per_s": core_gflop, "base": asdict(BASE), "samples": samples})
    document = read_samples(output)
    for precision in PRECISIONS:
        for name in VALUES:
            console.print(scaling_table(document, precision, name))
