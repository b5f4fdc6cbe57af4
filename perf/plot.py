"""`python -m perf plot`: what has been measured as PNG, in the folder of the samples."""

import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot
from rich.console import Console

from perf.compare import CONTESTANTS, RAW, SERVED
from perf.rounds import Figures, Round
from perf.sweep import RATES_PER_S

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
OURS, OTHERS = "#1b6ca8", "#b0b7bf"
console = Console()


def hardware_line(hardware: dict[str, Any]) -> str:
    """What the figures were measured on, in one line."""
    return f"{hardware['cores']} cores of {hardware['processor']}, full-size encoders, random weights"


def plot_ratios(samples: Path, image: Path) -> None:
    """Throughput of every contestant at 8 callers, as ratios to raw ONNX Runtime."""
    document = json.loads(samples.read_text("utf-8"))
    callers = max(CONTESTANTS)
    rates = {
        name: Figures.of(
            [Round(**one) for one in document["samples"][f"{name} callers={callers}"]]
        ).texts_per_s
        for name in CONTESTANTS[callers]
    }
    limit = rates[RAW]
    ordered = sorted(rates, key=rates.__getitem__)
    figure, axes = pyplot.subplots()
    bars = axes.barh(
        ordered,
        [rates[name] / limit for name in ordered],
        color=[OURS if name in SERVED else OTHERS for name in ordered],
    )
    axes.bar_label(bars, [f"{rates[name] / limit:.2f}" for name in ordered], padding=3)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel(f"throughput at {callers} callers, raw ONNX Runtime in fp32 = 1")
    axes.set_title(hardware_line(document["hardware"]), fontsize=9)
    figure.tight_layout()
    figure.savefig(image)


def plot_latencies(samples: Path, image: Path) -> None:
    """Latency against throughput as the rate of requests rises, for both protocols."""
    document = json.loads(samples.read_text("utf-8"))
    figure, axes = pyplot.subplots()
    for sweep in document["sweeps"]:
        if "Request Rate" not in sweep["rows"][0]:
            continue
        rates = [row["Inferences/Second"] for row in sweep["rows"]]
        (line,) = axes.plot(
            rates,
            [row["p50 latency"] / 1000 for row in sweep["rows"]],
            "o-",
            label=f"{sweep['protocol']} p50",
        )
        axes.plot(
            rates,
            [row["p99 latency"] / 1000 for row in sweep["rows"]],
            "o--",
            color=line.get_color(),
            label=f"{sweep['protocol']} p99",
        )
    axes.set_xlabel(f"texts per second, asked at a rate of {RATES_PER_S[0]} to {RATES_PER_S[1]}")
    axes.set_ylabel("latency, ms")
    axes.set_yscale("log")
    axes.legend()
    axes.set_title(hardware_line(document["hardware"]), fontsize=9)
    figure.tight_layout()
    figure.savefig(image)


def plot_scaling(samples: Path, image: Path) -> None:
    """Latency by the length of a text, and throughput by the instances of each encoder."""
    document = json.loads(samples.read_text("utf-8"))
    figure, (by_length, by_instances) = pyplot.subplots(ncols=2)
    lengths_ms = {int(tokens): statistics.median(of) for tokens, of in document["lengths_ms"].items()}
    by_length.plot(list(lengths_ms), list(lengths_ms.values()), "o-", color=OURS)
    by_length.set(xscale="log", yscale="log", xlabel="tokens of a text", ylabel="latency at one caller, ms")
    rates = {number: statistics.median(of) for number, of in document["instances_texts_per_s"].items()}
    bars = by_instances.bar(list(rates), list(rates.values()), color=OURS, width=0.6)
    by_instances.bar_label(bars, [f"{rate:.1f}" for rate in rates.values()], padding=2)
    by_instances.set(xlabel="instances of each encoder, one thread each", ylabel="texts/s at 8 callers")
    figure.suptitle(hardware_line(document["hardware"]), fontsize=9)
    figure.tight_layout()
    figure.savefig(image)


def main(folder: Path) -> None:
    """Draw what has been measured in `folder`."""
    for name, draw in (("compare", plot_ratios), ("sweep", plot_latencies), ("scaling", plot_scaling)):
        samples = folder / f"{name}.json"
        if samples.exists():
            draw(samples, samples.with_suffix(".png"))
            console.print(f"drawn: {samples.with_suffix('.png')}")
        else:
            console.print(f"no {samples}: run `python -m perf {name}` first")
