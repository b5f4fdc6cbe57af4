"""`python -m perf plot`: plots the benchmarks' samples as PNG files, in the samples' folder."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot
from matplotlib.figure import Figure
from rich.console import Console

from perf.growth.scaling_report import fastest_round, limit_texts_per_s, varied
from perf.growth.sweep import RATES_PER_S
from perf.load.rounds import THROUGHPUT_CALLERS, THROUGHPUT_LOAD, decode_figures
from perf.paths import OUTPUT_FOLDER
from perf.samples import read_samples
from perf.speed.compare import TRIBUNAL, description, ratios_at

matplotlib.use("Agg")
pyplot.rcParams.update(
    {
        "figure.figsize": (8, 4.2),
        "figure.dpi": 120,
        "font.size": 10,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.alpha": 0.3,
    }
)
TRIBUNAL_COLOR, BASELINE_COLOR = "#1b6ca8", "#b0b7bf"
PRECISION_COLORS = {"fp32": TRIBUNAL_COLOR, "int8": "#c8553d"}
SCALING_LABELS = {
    "tokens": "tokens of a text",
    "request_texts": "texts in a request",
    "callers": "callers",
    "instances": "instances of each encoder",
}
console = Console()


def hardware_line(hardware: dict[str, Any]) -> str:
    """Hardware and models of the measurement, in one line."""
    return f"{hardware['cores']} cores of {hardware['processor']}, full-size encoders, random weights"


def draw_ratios(document: dict[str, Any]) -> Figure:
    """Throughput of Tribunal and of every baseline, relative to raw ONNX Runtime at the same precision."""
    ratios = ratios_at(decode_figures(document["figures"]), THROUGHPUT_LOAD)
    names = sorted(ratios, key=ratios.__getitem__)
    figure, axes = pyplot.subplots()
    bars = axes.barh(
        [description(name) for name in names],
        [ratios[name] for name in names],
        color=[TRIBUNAL_COLOR if name in TRIBUNAL.values() else BASELINE_COLOR for name in names],
    )
    axes.bar_label(bars, [f"{ratios[name]:.2f}" for name in names], padding=3)
    axes.margins(x=0.1)
    axes.axvline(1.0, color="black", linewidth=0.8, zorder=0.5)
    axes.set_xlabel(f"throughput at {THROUGHPUT_CALLERS} callers, relative to raw ONNX Runtime")
    axes.set_title(hardware_line(document["hardware"]), fontsize=9)
    return figure


def draw_latencies(document: dict[str, Any]) -> Figure:
    """Latency against throughput as the request rate rises, for both protocols."""
    figure, axes = pyplot.subplots()
    for sample in document["sweeps"]:
        if "Request Rate" not in sample["rows"][0]:
            continue
        texts_per_s = [row["Inferences/Second"] for row in sample["rows"]]
        color = None
        for percentile, style in (("p50", "o-"), ("p99", "o--")):
            (line,) = axes.plot(
                texts_per_s,
                # perf_analyzer reports microseconds.
                [row[f"{percentile} latency"] / 1000 for row in sample["rows"]],
                style,
                color=color,
                label=f"{sample['protocol']} {percentile}",
            )
            color = line.get_color()
    lowest, highest, _ = RATES_PER_S
    axes.set_xlabel(f"texts answered per second, at {lowest} to {highest} requests per second")
    axes.set_ylabel("latency, ms")
    axes.set_yscale("log")
    axes.legend()
    axes.set_title(hardware_line(document["hardware"]), fontsize=9)
    return figure


def draw_scaling(document: dict[str, Any]) -> Figure:
    """Throughput at each precision by length, batch, callers and instances, and the processor's limit."""
    figure, rows = pyplot.subplots(2, 2, figsize=(8, 6.4))
    for axes, (name, quantity) in zip(rows.flat, SCALING_LABELS.items(), strict=True):
        for precision, color in PRECISION_COLORS.items():
            samples = varied(document, precision, name)
            values = [sample["load"][name] for sample in samples]
            rates = [fastest_round(sample)["texts_per_s"] for sample in samples]
            limits = [limit_texts_per_s(document, sample) for sample in samples]
            axes.plot(values, rates, "o-", color=color, label=precision)
            axes.plot(values, limits, "--", color=color, label=f"{precision}, the processor's limit")
        axes.set(xlabel=quantity, ylabel="texts/s")
        if name == "tokens":
            axes.set(xscale="log", yscale="log")
        else:
            axes.set(xticks=values, ylim=(0, None))
    rows[0, 0].legend(fontsize=8)
    figure.suptitle(hardware_line(document["hardware"]), fontsize=9)
    return figure


PLOTS: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "compare": draw_ratios,
    "sweep": draw_latencies,
    "scaling": draw_scaling,
}


def main(folder: Path) -> None:
    """Draw each benchmark whose samples are in `folder`."""
    for name, draw in PLOTS.items():
        samples = folder / f"{name}.json"
        if not samples.exists():
            console.print(f"{samples} does not exist: run `python -m perf {name}` first")
            continue
        figure = draw(read_samples(samples))
        figure.tight_layout()
        image = samples.with_suffix(".png")
        figure.savefig(image)
        console.print(f"plot: {image}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the plots."""
    parser.add_argument(
        "--folder", type=Path, default=OUTPUT_FOLDER, metavar="DIR", help="folder of the results"
    )
