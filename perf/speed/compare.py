"""`python -m perf compare`: screening by Tribunal and by every baseline, side by side.

All screen the same texts with full-size encoders of random weights on the same cores. They take turns
round by round, so that other work on the machine slows all of them alike. The results are the ratios;
absolute figures hold only for this hardware. Ratios are relative to raw ONNX Runtime at the same precision.
A latency is the caller's, including its wait for other callers. Requests of several texts are compared only
with raw ONNX Runtime.
"""

import argparse
import contextlib
import itertools
from collections.abc import Collection, Mapping
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
from perf.load.callers import screening, send_texts
from perf.load.rounds import (
    LATENCY_LOAD,
    LOADS,
    Figures,
    Load,
    Round,
    encode_figures,
    encode_rounds,
    figures_at,
    figures_of,
    sample_key,
)
from perf.load.workload import read_workload
from perf.paths import OUTPUT_FOLDER
from perf.samples import write_samples
from perf.serving.exports import CHECKPOINTS, PRECISIONS, export_encoders, full_size_repository
from perf.serving.servers import warm_client

# The names of Tribunal's servers in the samples.
TRIBUNAL: dict[Precision, str] = {precision: f"tribunal {precision}" for precision in PRECISIONS}
# Passes of a round with several callers. Short rounds distort the ratio, because cores idle during the last
# texts: Tribunal's int8 reached 0.73 of raw ONNX Runtime's in rounds of 80 texts, and 0.80 in rounds of 480.
# The other baselines are slower, so they need fewer texts.
REFERENCE_PASSES, OTHER_PASSES = 6, 2
ROUNDS = 5
console = Console()


def contestants() -> list[str]:
    """The names of Tribunal's servers and all baselines."""
    return [*TRIBUNAL.values(), *all_baselines()]


def turns(load: Load) -> list[str]:
    """Names in the order of their turns under a load.

    Tribunal's turn follows its reference's, so that other work affects their ratio least.
    """
    pairs = [[reference_at(load, precision).name, name] for precision, name in TRIBUNAL.items()]
    others = [baseline.name for baseline in baselines_at(load) if not baseline.is_reference]
    return [*itertools.chain(*pairs), *others]


def passes_of(name: str, load: Load) -> int:
    """Passes over the workload in a round of `name`."""
    if load == LATENCY_LOAD:
        return 1
    is_compared_closely = name in TRIBUNAL.values() or all_baselines()[name].is_reference
    return REFERENCE_PASSES if is_compared_closely else OTHER_PASSES


def precision_of(name: str) -> Precision:
    """The precision of the server or baseline `name`."""
    by_name = {name: precision for precision, name in TRIBUNAL.items()}
    return by_name[name] if name in by_name else all_baselines()[name].precision


def ratios_at(measured: Mapping[str, Figures], load: Load) -> dict[str, float]:
    """Texts/s relative to the reference at the same precision, by name; omits names without a reference."""
    figures = figures_at(measured, *load)
    references = {name: reference_at(load, precision_of(name)).name for name in figures}
    return {
        name: row.texts_per_s / figures[references[name]].texts_per_s
        for name, row in figures.items()
        if references[name] in figures
    }


def compare(rounds: int, only: Collection[str]) -> dict[str, list[Round]]:
    """Measure the names in `only` in turns; returns their rounds by `sample_key`."""
    export_encoders()
    encoders = EncoderFiles(CHECKPOINTS, OUTPUT_FOLDER)
    samples: dict[str, list[Round]] = {}
    with contextlib.ExitStack() as stack:
        run_round: dict[str, RunRound] = {}
        for name, baseline in all_baselines().items():
            if name in only:
                with console.status(f"starting {baseline.description}"):
                    run_round[name] = stack.enter_context(baseline.start(encoders))
        for precision, name in TRIBUNAL.items():
            if name in only:
                with console.status(f"starting {name}"):
                    client = stack.enter_context(warm_client(full_size_repository(precision), precision))
                run_round[name] = partial(screen_passes, client)
        for _ in track(range(rounds), "comparing", console=console):
            for load in LOADS:
                for name in [name for name in turns(load) if name in only]:
                    round_ = run_round[name](load, passes_of(name, load))
                    samples.setdefault(sample_key(name, *load), []).append(round_)
    return samples


def screen_passes(client: Client, load: Load, passes: int) -> Round:
    """A round of one of Tribunal's servers."""
    return send_texts(screening(client), read_workload() * passes, load)


def comparison_table(measured: Mapping[str, Figures], load: Load) -> Table:
    """Table of one load: each ratio to the reference's throughput, then absolute figures."""
    ratios = ratios_at(measured, load)
    table = Table(
        "screened by",
        "ratio",
        "texts/s",
        "p50 ms",
        "p99 ms",
        "failed texts",
        title=str(load),
        caption="ratio: texts/s, relative to raw ONNX Runtime at the same precision",
    )
    for name, row in figures_at(measured, *load).items():
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
    """The label of `name` in tables and plots."""
    if name in TRIBUNAL.values():
        return name.replace("tribunal", "Tribunal")
    baseline = all_baselines().get(name)
    return baseline.description if baseline else name


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument(
        "--only",
        nargs="+",
        choices=contestants(),
        default=contestants(),
        metavar="NAME",
        help="what is measured, of: %(choices)s",
    )


def main(rounds: int, output: Path, only: Collection[str]) -> None:
    """Measure, print a table for each load, and write the samples."""
    samples = compare(rounds, only)
    figures = figures_of(samples)
    for load in LOADS:
        if figures_at(figures, *load):
            console.print(comparison_table(figures, load))
    write_samples(output, {"figures": encode_figures(figures)}, raw={"samples": encode_rounds(samples)})
