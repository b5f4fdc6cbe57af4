"""`python -m perf summary`: one table of the benchmarks' ratios and times."""

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from perf.baselines.registry import Precision, all_baselines
from perf.compare import TRIBUNAL, description
from perf.judge_throughput import JudgeSample, figures
from perf.rounds import BATCH_LOAD, LATENCY_LOAD, THROUGHPUT_LOAD, decode_rounds, figures_at
from perf.samples import read_samples

console = Console()


@dataclass(frozen=True)
class Row:
    """One row of the summary; `better` says whether higher or lower values are better."""

    measured: str
    relative_to: str
    value: str
    better: Literal["higher", "lower"]


def compare_rows(document: dict[str, Any]) -> Iterator[Row]:
    """Tribunal's throughput and its median latency, relative to each baseline."""
    samples = decode_rounds(document["samples"])
    latency = figures_at(samples, *LATENCY_LOAD)
    for precision, tribunal in TRIBUNAL.items():
        for load in (THROUGHPUT_LOAD, BATCH_LOAD):
            throughput = figures_at(samples, *load)
            for name in compared_with(precision, throughput):
                ratio = throughput[tribunal].texts_per_s / throughput[name].texts_per_s
                yield Row(f"throughput at {load}, {precision}", description(name), f"{ratio:.2f}", "higher")
        for name in compared_with(precision, latency):
            ratio = latency[tribunal].p50_ms / latency[name].p50_ms
            measured = f"median latency at one caller, {precision}"
            yield Row(measured, description(name), f"{ratio:.2f}", "lower")


def compared_with(precision: Precision, figures: Iterable[str]) -> list[str]:
    """The baselines in `figures`, without the references at other precisions."""
    baselines = all_baselines()
    return [
        name
        for name in figures
        if name in baselines and not (baselines[name].is_reference and baselines[name].precision != precision)
    ]


def shapes_rows(document: dict[str, Any]) -> Iterator[Row]:
    """Time of batches and long texts, throughput of the cache, and memory."""
    ratios = {name: f"{statistics.median(values):.2f}" for name, values in document["ratios"].items()}
    yield Row("time of a batch of 32 mixed texts", "its texts one by one", ratios["batch"], "lower")
    yield Row("time of a text of 20 windows", "20 texts of one window", ratios["windows"], "lower")
    yield Row("throughput with the cache, 30 % repeated texts", "without", ratios["cache"], "higher")
    memory = document["served_mib"] / document["weights_mib"]
    yield Row("memory of the server", "its weights", f"{memory:.2f}", "lower")
    growth = document["demo_mib"][-1] / document["demo_mib"][0]
    yield Row("memory after 20,000 requests", "before", f"{growth:.2f}", "lower")


def judge_rows(document: dict[str, Any]) -> Iterator[Row]:
    """Judged texts per second, relative to vLLM alone."""
    for judged in figures(JudgeSample(**sample) for sample in document["samples"]):
        measured = f"judged texts/s at {judged.callers} callers, {judged.answer}"
        yield Row(measured, "vLLM alone", f"{judged.ratio:.2f}", "higher")


def start_rows(document: dict[str, Any]) -> Iterator[Row]:
    """Seconds until the demonstration models are ready."""
    for label, values in document["start_s"].items():
        yield Row(f"start, demonstration models, {label}", "", f"{statistics.median(values):.1f} s", "lower")


ROWS: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "compare": compare_rows,
    "shapes": shapes_rows,
    "judge": judge_rows,
    "start": start_rows,
}


def main(folder: Path) -> None:
    """Print the rows of each benchmark whose samples are in `folder`.

    A file such as `judge_wide.json` has the samples of the variant `wide` of the benchmark `judge`.
    """
    table = Table(
        "measured on Tribunal",
        "relative to",
        "value",
        "better",
        caption="A value without a unit is a ratio: the first column's figure divided by the second's.",
    )
    for name, rows in ROWS.items():
        for samples in sorted(folder.glob(f"{name}*.json")):
            variant = samples.stem.removeprefix(name).lstrip("_")
            for row in rows(read_samples(samples)):
                measured = f"{row.measured} ({variant})" if variant else row.measured
                table.add_row(measured, row.relative_to, row.value, row.better)
    console.print(table)
