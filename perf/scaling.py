"""`python -m perf scaling`: what a text costs by its length, and what instances bring.

On the full-size encoders: milliseconds of one text at one caller, and texts per second at 8 callers with
1 to INSTANCES instances of each encoder, one thread each.
"""

import contextlib
import json
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from perf.compare import FOLDER, prepare
from perf.hardware import describe_hardware
from perf.rounds import call_tribunal, warm_up
from perf.shapes import STRIDE_WORDS, WINDOW_WORDS, letters

WORDS = (8, 32, 128, WINDOW_WORDS, *(WINDOW_WORDS + more * STRIDE_WORDS for more in (1, 3)))
INSTANCES = 3
CALLERS = 8
console = Console()


def measure_lengths(client: Client, number: int) -> dict[int, float]:
    """Milliseconds of one text by its number of tokens, the two special ones included."""
    latencies_ms = {}
    for words in WORDS:
        text = letters(words, number)
        started_s = time.perf_counter()
        client.moderate(text, judge="never")
        latencies_ms[words + 2] = (time.perf_counter() - started_s) * 1000
    return latencies_ms


def main(rounds: int, output: Path) -> None:
    """Measure, print both tables, and keep the samples."""
    prepare()
    lengths: dict[int, list[float]] = {}
    rates: dict[int, list[float]] = {}
    with contextlib.ExitStack() as stack:
        clients = {}
        for instances in range(1, INSTANCES + 1):
            server = stack.enter_context(
                TritonServer(
                    ServerOptions(
                        FOLDER / "fp32",
                        ports=free_ports(),
                        log_file=FOLDER / f"{instances}_instances.log",
                        judge=False,
                        instances=instances,
                    )
                )
            )
            clients[instances] = stack.enter_context(Client(server.grpc_url, timeout_s=120))
            warm_up(clients[instances])
        for number in track(range(rounds), "scaling", console=console):
            for tokens, latency_ms in measure_lengths(clients[max(clients)], number).items():
                lengths.setdefault(tokens, []).append(latency_ms)
            for instances, client in clients.items():
                rates.setdefault(instances, []).append(call_tribunal(client, CALLERS).texts_per_s)
    table = Table("tokens", "ms", "us a token")
    for tokens, values in lengths.items():
        latency_ms = statistics.median(values)
        table.add_row(str(tokens), f"{latency_ms:.0f}", f"{latency_ms * 1000 / tokens:.0f}")
    console.print(table)
    table = Table("instances of each encoder", "texts/s")
    for instances, values in rates.items():
        table.add_row(str(instances), f"{statistics.median(values):.1f}")
    console.print(table)
    document = {"hardware": describe_hardware(), "lengths_ms": lengths, "instances_texts_per_s": rates}
    output.write_text(json.dumps(document), "utf-8")
    console.print(f"samples: {output}")
