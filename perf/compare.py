"""`python -m perf compare`: screening by Tribunal and by every baseline, side by side.

All screen the same texts with full-size encoders of random weights on the same cores. They take turns
round by round, so that other work on the machine slows all of them alike. The ratios are the result; the
absolute figures hold for this hardware only.
"""

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from perf.baselines.registry import EncoderFiles, RunRound, all_baselines, baselines_at, reference_at
from perf.exports import CHECKPOINTS, PRECISIONS, export_encoders, full_size_repository
from perf.load.callers import screen_workload
from perf.rounds import (
    LATENCY_CALLERS,
    THROUGHPUT_CALLERS,
    Round,
    encode_rounds,
    figures_at,
    sample_key,
)
from perf.samples import write_samples
from perf.servers import warm_client

# The names of Tribunal's servers in the samples.
TRIBUNAL = {precision: f"tribunal {precision}" for precision in PRECISIONS}
console = Console()


def turns(callers: int) -> list[str]:
    """Names in the order of their turns at a number of callers.

    Tribunal's turn follows that of the reference, so that their ratio suffers least from other work.
    """
    reference, *others = [baseline.name for baseline in baselines_at(callers)]
    return [reference, *TRIBUNAL.values(), *others]


def compare(rounds: int) -> dict[str, list[Round]]:
    """Measure Tribunal and every baseline in turns; returns their rounds by `sample_key`."""
    export_encoders()
    encoders = EncoderFiles(CHECKPOINTS, full_size_repository("fp32"))
    samples: dict[str, list[Round]] = {}
    with contextlib.ExitStack() as stack:
        run_round: dict[str, RunRound] = {}
        for name, baseline in all_baselines().items():
            with console.status(f"starting {baseline.description}"):
                run_round[name] = stack.enter_context(baseline.start(encoders))
        for precision, name in TRIBUNAL.items():
            with console.status(f"starting {name}"):
                client = stack.enter_context(warm_client(full_size_repository(precision), precision))
            run_round[name] = partial(screen_workload, client)
        for _ in track(range(rounds), "comparing", console=console):
            for callers in (LATENCY_CALLERS, THROUGHPUT_CALLERS):
                for name in turns(callers):
                    samples.setdefault(sample_key(name, callers), []).append(run_round[name](callers))
    return samples


def comparison_table(samples: Mapping[str, Sequence[Round]], callers: int) -> Table:
    """Each ratio to the reference's throughput, then absolute figures, at a number of callers."""
    reference = reference_at(callers)
    figures = figures_at(samples, callers)
    table = Table(
        "screened by",
        "ratio",
        "texts/s",
        "p50 ms",
        "p99 ms",
        "failed texts",
        title=f"{callers} callers" if callers > 1 else "1 caller",
        caption=f"ratio: texts/s, relative to {reference.description}",
    )
    for name, row in figures.items():
        table.add_row(
            description(name),
            f"{row.texts_per_s / figures[reference.name].texts_per_s:.2f}",
            f"{row.texts_per_s:.1f}",
            f"{row.p50_ms:.0f}",
            f"{row.p99_ms:.0f}",
            str(row.failures),
        )
    return table


def description(name: str) -> str:
    """How tables and plots call what the samples name `name`."""
    if name in TRIBUNAL.values():
        return name.replace("tribunal", "Tribunal")
    baseline = all_baselines().get(name)
    return baseline.description if baseline else name


def main(rounds: int, output: Path) -> None:
    """Measure, print a table for each number of callers, and write the samples."""
    samples = compare(rounds)
    for callers in (LATENCY_CALLERS, THROUGHPUT_CALLERS):
        console.print(comparison_table(samples, callers))
    write_samples(output, {"samples": encode_rounds(samples)})
