"""`python -m perf scaling`: how latency grows with a text's length, and throughput with the instances.

Measures the full-size encoders: the milliseconds of one text at one caller, and the texts per second at 8
callers with 1 to 3 instances of each encoder, each of which has one thread.
"""

import contextlib
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from perf.exports import export_encoders, full_size_repository
from perf.load.callers import screen_workload
from perf.load.workload import SPECIAL_TOKENS, STRIDE_TOKENS, WINDOW_TOKENS, text_of_tokens
from perf.rounds import THROUGHPUT_CALLERS
from perf.samples import write_samples
from perf.servers import warm_client

# The last three are texts of exactly 1, 2 and 4 windows.
TEXT_TOKENS = (8, 32, 128, *(WINDOW_TOKENS + strides * STRIDE_TOKENS for strides in (0, 1, 3)))
MOST_INSTANCES = 3
console = Console()


def latencies_by_length(client: Client, seed: int) -> dict[int, float]:
    """Milliseconds of one text of each length, by its tokens with the special ones."""
    latencies_ms = {}
    for tokens in TEXT_TOKENS:
        text = text_of_tokens(tokens, seed)
        started_s = time.perf_counter()
        client.moderate(text, judge="never")
        latencies_ms[tokens + SPECIAL_TOKENS] = (time.perf_counter() - started_s) * 1000
    return latencies_ms


def measure_scaling(rounds: int) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """Milliseconds by a text's tokens, and texts per second by the instances, of each round."""
    latencies_ms: dict[int, list[float]] = {}
    texts_per_s: dict[int, list[float]] = {}
    with contextlib.ExitStack() as stack:
        clients = {
            instances: stack.enter_context(
                warm_client(full_size_repository("fp32"), f"{instances}_instances", instances=instances)
            )
            for instances in range(1, MOST_INSTANCES + 1)
        }
        for number in track(range(rounds), "scaling", console=console):
            for tokens, latency_ms in latencies_by_length(clients[MOST_INSTANCES], number).items():
                latencies_ms.setdefault(tokens, []).append(latency_ms)
            for instances, client in clients.items():
                rate = screen_workload(client, THROUGHPUT_CALLERS).texts_per_s
                texts_per_s.setdefault(instances, []).append(rate)
    return latencies_ms, texts_per_s


def main(rounds: int, output: Path) -> None:
    """Measure, print both tables, and write the samples."""
    export_encoders()
    latencies_ms, texts_per_s = measure_scaling(rounds)
    by_length = Table("tokens", "ms", "µs per token", title="one text at one caller")
    for tokens, values_ms in latencies_ms.items():
        median_ms = statistics.median(values_ms)
        by_length.add_row(str(tokens), f"{median_ms:.0f}", f"{median_ms * 1000 / tokens:.0f}")
    console.print(by_length)
    by_instances = Table("instances of each encoder", "texts/s", title=f"{THROUGHPUT_CALLERS} callers")
    for instances, rates in texts_per_s.items():
        by_instances.add_row(str(instances), f"{statistics.median(rates):.1f}")
    console.print(by_instances)
    write_samples(output, {"lengths_ms": latencies_ms, "instances_texts_per_s": texts_per_s})
