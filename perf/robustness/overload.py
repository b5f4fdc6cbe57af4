"""`python -m perf overload`: minutes of load at four times the gateway's capacity.

It serves the demonstration models behind the gateway, measures its capacity with many callers, and then
sends requests at four times that rate. Goodput is the rate of verdicts meanwhile. Latency at one caller is
measured before, and ten seconds after. The exit status is 1 if a request hangs, or fails other than by a
response that tells the caller to try again later.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from perf.load.http_load import OK, Sample, http_load
from perf.load.workload import batches, read_workload
from perf.paths import DEMO_REPOSITORY
from perf.samples import write_samples
from perf.serving.core_meter import CoreMeter
from perf.serving.deployment import Deployment, deployed

# Batches, so that the load generator takes little of the cores that the server needs.
REQUEST_TEXTS = 8
CAPACITY_CALLERS = 16
WARM_UP_S, CAPACITY_S, LATENCY_S, PAUSE_S = 3.0, 20.0, 8.0, 10.0
OVERLOAD_FACTOR = 4.0
# The statuses that tell a caller to try again later.
REFUSED = ("429", "503")
SEED = 7
console = Console()


@dataclass(frozen=True)
class Overload:
    """The samples of each phase, in the order of measurement; durations are in seconds.

    cores: cores that the load generator, the gateway and the server used in each phase under load.
    """

    capacity: list[Sample]
    before: list[Sample]
    overload: list[Sample]
    after: list[Sample]
    capacity_s: float
    duration_s: float
    cores: dict[str, dict[str, float]]


@dataclass(frozen=True)
class OverloadFigures:
    """The figures of the samples; rates count texts, latencies are those of requests with verdicts."""

    capacity_texts_per_s: float
    offered_texts_per_s: float
    goodput_texts_per_s: float
    accepted_p50_ms: float
    accepted_p99_ms: float
    refused_p99_ms: float
    before_p50_ms: float
    after_p50_ms: float
    statuses: dict[str, int]

    @property
    def goodput_share(self) -> float:
        """Goodput under overload, relative to the capacity."""
        return self.goodput_texts_per_s / self.capacity_texts_per_s

    @property
    def failed(self) -> int:
        """Requests under overload that end with neither verdicts nor a refusal."""
        return sum(count for status, count in self.statuses.items() if status not in (OK, *REFUSED))


def percentile_ms(samples: Sequence[Sample], statuses: Sequence[str], percent: float) -> float:
    """A percentile of the latencies of requests that ended with one of `statuses`; NaN if none did."""
    latencies_ms = [sample.latency_ms for sample in samples if sample.status in statuses]
    return float(np.percentile(latencies_ms, percent)) if latencies_ms else float("nan")


def figures_of(measured: Overload) -> OverloadFigures:
    """Summarise the samples. Goodput counts requests that were answered before the load's end."""
    answered = [
        sample
        for sample in measured.overload
        if sample.status == OK and sample.started_s + sample.latency_ms / 1000 <= measured.duration_s
    ]
    capacity = sum(sample.status == OK for sample in measured.capacity)
    return OverloadFigures(
        capacity_texts_per_s=REQUEST_TEXTS * capacity / measured.capacity_s,
        offered_texts_per_s=REQUEST_TEXTS * len(measured.overload) / measured.duration_s,
        goodput_texts_per_s=REQUEST_TEXTS * len(answered) / measured.duration_s,
        accepted_p50_ms=percentile_ms(measured.overload, [OK], 50),
        accepted_p99_ms=percentile_ms(measured.overload, [OK], 99),
        refused_p99_ms=percentile_ms(measured.overload, REFUSED, 99),
        before_p50_ms=percentile_ms(measured.before, [OK], 50),
        after_p50_ms=percentile_ms(measured.after, [OK], 50),
        statuses=dict(Counter(sample.status for sample in measured.overload)),
    )


def request_bodies(*, judge: bool) -> list[bytes]:
    """Documents for `/v1/verdicts` of REQUEST_TEXTS texts each; the judge gives no reasons."""
    texts = read_workload()
    options = {"judge": "always", "explain": False} if judge else {"judge": "never"}
    return [json.dumps({"texts": request, **options}).encode() for request in batches(texts, REQUEST_TEXTS)]


async def measure(deployment: Deployment, duration_s: float, *, judge: bool) -> Overload:
    """Measure capacity and latency, overload for `duration_s`, pause, and measure latency again."""
    meter = CoreMeter(
        {
            "load": psutil.Process().pid,
            "gateway": deployment.gateway.pid,
            "server": deployment.server.pid,
        }
    )
    async with http_load(f"{deployment.http_url}/v1/verdicts", request_bodies(judge=judge)) as load:
        await load.by_callers(CAPACITY_CALLERS, WARM_UP_S)
        with meter.during("capacity"):
            capacity = await load.by_callers(CAPACITY_CALLERS, CAPACITY_S)
        # The last requests end after the callers stop sending.
        capacity_s = max(sample.started_s + sample.latency_ms / 1000 for sample in capacity)
        before = await load.by_callers(1, LATENCY_S)
        answered = sum(sample.status == OK for sample in capacity)
        with meter.during("overload"):
            overload = await load.at_rate(OVERLOAD_FACTOR * answered / capacity_s, duration_s, SEED)
        await asyncio.sleep(PAUSE_S)
        after = await load.by_callers(1, LATENCY_S)
    return Overload(capacity, before, overload, after, capacity_s, duration_s, meter.cores)


def overload_table(figures: OverloadFigures, cores: Mapping[str, Mapping[str, float]]) -> Table:
    """Print a row for each figure, and the cores that each process used."""
    table = Table("measured", "value", caption=f"requests of {REQUEST_TEXTS} texts each")
    table.add_row("capacity", f"{figures.capacity_texts_per_s:.0f} texts/s")
    table.add_row("offered", f"{figures.offered_texts_per_s:.0f} texts/s")
    table.add_row("goodput", f"{figures.goodput_texts_per_s:.0f} texts/s")
    table.add_row("goodput, relative to the capacity", f"{figures.goodput_share:.2f}")
    table.add_row("latency of those answered, p50", f"{figures.accepted_p50_ms:.0f} ms")
    table.add_row("latency of those answered, p99", f"{figures.accepted_p99_ms:.0f} ms")
    table.add_row("latency of a refusal, p99", f"{figures.refused_p99_ms:.0f} ms")
    for status, count in sorted(figures.statuses.items()):
        table.add_row(f"requests that ended with {status}", str(count))
    for phase, by_process in cores.items():
        taken = ", ".join(f"{name} {number:.2f}" for name, number in by_process.items())
        table.add_row(f"cores, {phase}", taken)
    table.add_row("latency at one caller before, p50", f"{figures.before_p50_ms:.1f} ms")
    table.add_row("latency at one caller 10 s after, p50", f"{figures.after_p50_ms:.1f} ms")
    return table


def exit_status(figures: OverloadFigures) -> int:
    """1 if a request hung, or failed other than by a refusal, or none was answered; else 0."""
    return int(figures.failed > 0 or OK not in figures.statuses)


def main(duration_s: float, with_judge: bool, output: Path) -> int:
    """Overload, print the figures and write the samples; returns the exit status."""
    with deployed(DEMO_REPOSITORY, "overload", judge=with_judge) as deployment:
        measured = asyncio.run(measure(deployment, duration_s, judge=with_judge))
    figures = figures_of(measured)
    console.print(overload_table(figures, measured.cores))
    raw = asdict(measured)
    cores, capacity_s, duration_s = (raw.pop(name) for name in ("cores", "capacity_s", "duration_s"))
    durations = {"capacity_s": capacity_s, "duration_s": duration_s}
    document = {"with_judge": with_judge, "figures": asdict(figures), **durations, "cores": cores}
    write_samples(output, document, raw=raw)
    return exit_status(figures)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the overload."""
    parser.add_argument("--duration-s", type=float, default=120.0, metavar="S", help="seconds of overload")
    parser.add_argument("--with-judge", action="store_true", help="every text is judged by the LLM")
