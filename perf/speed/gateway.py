"""`python -m perf gateway`: latency and throughput through the gateway, compared with direct HTTP to Triton.

Each request has one text. One caller shows the latency that the gateway adds, 32 callers the throughput. The
two servers take turns on one deployment of the demonstration models, without the judge.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from perf.load.http_load import OK, http_load
from perf.load.rounds import (
    LATENCY_CALLERS,
    Figures,
    Round,
    encode_figures,
    encode_rounds,
    figures_at,
    figures_of,
    sample_key,
)
from perf.load.workload import read_workload
from perf.paths import DEMO_REPOSITORY
from perf.robustness.attack.inference_attacks import tensor
from perf.robustness.attack.socket_attack import MODERATION_PATH
from perf.samples import write_samples
from perf.serving.deployment import deployed

GATEWAY, TRITON = "gateway", "triton"
CALLERS = (LATENCY_CALLERS, 32)
WARM_UP_S, ROUND_S = 3.0, 8.0
ROUNDS = 5
console = Console()


def request_bodies(texts: Sequence[str]) -> dict[str, list[bytes]]:
    """Each server's JSON requests for the verdict of one text."""
    return {
        GATEWAY: [json.dumps({"text": text, "judge": "never"}).encode() for text in texts],
        TRITON: [
            json.dumps(
                {
                    "inputs": [
                        tensor("text", "BYTES", [1, 1], [text]),
                        tensor("judge", "BYTES", [1, 1], ["never"]),
                    ],
                    "outputs": [{"name": "verdict"}],
                }
            ).encode()
            for text in texts
        ],
    }


async def run_round(url: str, bodies: Sequence[bytes], callers: int, duration_s: float) -> Round:
    """Send for `duration_s`; returns the latency of each answered text."""
    async with http_load(url, bodies) as load:
        samples = await load.by_callers(callers, duration_s)
    elapsed_s = max(sample.started_s + sample.latency_ms / 1000 for sample in samples)
    latencies_ms = [sample.latency_ms for sample in samples if sample.status == OK]
    return Round(elapsed_s, latencies_ms, failures=len(samples) - len(latencies_ms))


def measure(urls: Mapping[str, str], rounds: int) -> dict[str, list[Round]]:
    """Rounds of both servers in turns, by name and number of callers."""
    bodies = request_bodies(read_workload())
    samples: dict[str, list[Round]] = {}
    for name, url in urls.items():
        asyncio.run(run_round(url, bodies[name], max(CALLERS), WARM_UP_S))
    for number in track(range(rounds), "measuring", console=console):
        for callers in CALLERS:
            # The order alternates from round to round.
            for name in sorted(urls, reverse=bool(number % 2)):
                round_ = asyncio.run(run_round(urls[name], bodies[name], callers, ROUND_S))
                samples.setdefault(sample_key(name, callers), []).append(round_)
    return samples


def overhead_table(measured: Mapping[str, Figures]) -> Table:
    """The figures of both at each number of callers, the gateway's added latency, and its ratios."""
    table = Table("callers", "measured", GATEWAY, TRITON, "difference or ratio")
    for callers in CALLERS:
        figures = figures_at(measured, callers)
        gateway, triton = figures[GATEWAY], figures[TRITON]
        for name, through, straight in (
            ("p50", gateway.p50_ms, triton.p50_ms),
            ("p99", gateway.p99_ms, triton.p99_ms),
        ):
            added = f"{through - straight:+.2f} ms"
            table.add_row(str(callers), name, f"{through:.2f} ms", f"{straight:.2f} ms", added)
        ratio = f"{gateway.texts_per_s / triton.texts_per_s:.2f}"
        rates = (f"{gateway.texts_per_s:.0f} texts/s", f"{triton.texts_per_s:.0f} texts/s")
        table.add_row(str(callers), "throughput", *rates, ratio)
        table.add_row(str(callers), "failed requests", str(gateway.failures), str(triton.failures), "")
    return table


def main(rounds: int, output: Path) -> None:
    """Measure in turns, print the figures and write the samples."""
    with deployed(DEMO_REPOSITORY, "gateway") as deployment:
        urls = {
            GATEWAY: f"{deployment.http_url}/v1/verdicts",
            TRITON: f"{deployment.triton_http_url}{MODERATION_PATH}",
        }
        samples = measure(urls, rounds)
    figures = figures_of(samples)
    console.print(overhead_table(figures))
    write_samples(output, {"figures": encode_figures(figures)}, raw={"samples": encode_rounds(samples)})
