"""`python -m perf compare`: screening by Tribunal and by every baseline, side by side.

All screen the same texts with full-size encoders of random weights on the same cores. They take turns
round by round, so that other work on the machine slows all of them alike. The ratios are the result; the
absolute figures hold for this hardware only. A ratio is to raw ONNX Runtime at the same precision, and a
latency is what a caller sees, its waiting for the others included.
"""

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from perf.baselines.registry import (
    EncoderFiles,
    Precision,
    RunRound,
    all_baselines,
    baselines_at,
    reference_at,
)
from perf.exports import CHECKPOINTS, PRECISIONS, export_encoders, full_size_repository
from perf.load.callers import screen_workload
from perf.paths import OUTPUT_FOLDER
from perf.rounds import (
    LATENCY_CALLERS,
    THROUGHPUT_CALLERS,
    Round,
    encode_rounds,
    figures_at,
    passes_at,
    sample_key,
)
from perf.samples import write_samples
from perf.servers import warm_client

# The names of Tribunal's servers in the samples.
TRIBUNAL: dict[Precision, str] = {precision: f"tribunal {precision}" for precision in PRECISIONS}
console = Console()


def turns(callers: int) -> list[str]:
    """Names in the order of their turns at a number of callers.

    Tribunal's turn follows that of its reference, so that their ratio suffers least from other work.
    """
    pairs = [[reference_at(callers, precision).name, name] for precision, name in TRIBUNAL.items()]
    others = [baseline.name for baseline in baselines_at(callers) if not baseline.is_reference]
    return [*itertools.chain(*pairs), *others]


def precision_of(name: str) -> Precision:
    """The precision of what the samples name `name`."""
    by_name = {name: precision for precision, name in TRIBUNAL.items()}
    return by_name[name] if name in by_name else all_baselines()[name].precision


def ratios_at(samples: Mapping[str, Sequence[Round]], callers: int) -> dict[str, float]:
    """Texts/s relative to the reference's of the same precision, by name; without those that lack one."""
    figures = figures_at(samples, callers)
    references = {name: reference_at(callers, precision_of(name)).name for name in figures}
    return {
        name: row.texts_per_s / figures[references[name]].texts_per_s
        for name, row in figures.items()
        if references[name] in figures
    }


def compare(rounds: int) -> dict[str, list[Round]]:
    """Measure Tribunal and every baseline in turns; returns their rounds by `sample_key`."""
    export_encoders()
    encoders = EncoderFiles(CHECKPOINTS, OUTPUT_FOLDER)
    samples: dict[str, list[Round]] = {}
    with contextlib.ExitStack() as stack:
        run_round: dict[str, RunRound] = {}
        for name, baseline in all_baselines().items():
            with console.status(f"starting {baseline.description}"):
                run_round[name] = stack.enter_context(baseline.start(encoders))
        for precision, name in TRIBUNAL.items():
            with console.status(f"starting {name}"):
                client = stack.enter_context(warm_client(full_size_repository(precision), precision))
            run_round[name] = partial(screen_passes, client)
        for _ in track(range(rounds), "comparing", console=console):
            for callers in (LATENCY_CALLERS, THROUGHPUT_CALLERS):
                for name in turns(callers):
                    samples.setdefault(sample_key(name, callers), []).append(run_round[name](callers))
    return samples


def screen_passes(client: Client, callers: int) -> Round:
    """A round of one of Tribunal's servers."""
    return screen_workload(client, callers, passes_at(callers))


def comparison_table(samples: Mapping[str, Sequence[Round]], callers: int) -> Table:
    """Each ratio to the reference's throughput, then absolute figures, at a number of callers."""
    ratios = ratios_at(samples, callers)
    table = Table(
        "screened by",
        "ratio",
        "texts/s",
        "p50 ms",
        "p99 ms",
        "failed texts",
        title=f"{callers} callers" if callers > 1 else "1 caller",
        caption="ratio: texts/s, relative to raw ONNX Runtime at the same precision",
    )
    for name, row in figures_at(samples, callers).items():
        table.add_row(
            description(name),
            f"{ratios[name]:.2f}" if name in ratios else "-",
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
