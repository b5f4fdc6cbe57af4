"""Reports the samples of `python -m perf scaling` and compares them with the processor's limit."""

import statistics
from typing import Any

from rich.table import Table

# One load: `precision`, `load`, `gflop` of a text, and `rounds` with the results of `scaling.send`.
Sample = dict[str, Any]


def limit_texts_per_s(document: dict[str, Any], sample: Sample) -> float:
    """Texts per second if all cores computed only the encoders' matrix products."""
    core_gflop = statistics.median(document["core_gflop_per_s"][sample["precision"]])
    cores: int = document["hardware"]["cores"]
    return float(cores * core_gflop / sample["gflop"])


def fastest_round(sample: Sample) -> dict[str, float]:
    """The round of highest throughput, because other work on the machine can only slow a round down."""
    fastest: dict[str, float] = max(sample["rounds"], key=lambda measured: measured["texts_per_s"])
    return fastest


def varied(document: dict[str, Any], precision: str, name: str) -> list[Sample]:
    """The samples of `precision` that differ from BASE only in the quantity `name`, sorted by its value."""
    found = [
        sample
        for sample in document["samples"]
        if sample["precision"] == precision
        and {**sample["load"], name: 0} == {**document["base"], name: 0}
        and (name != "tokens" or sample["load"]["tokens"])
    ]
    return sorted(found, key=lambda sample: int(sample["load"][name]))


def scaling_table(document: dict[str, Any], precision: str, name: str) -> Table:
    """Throughput, its share of the limit, CPU and latency, by one quantity."""
    table = Table(name, "texts/s", "limit", "share of it", "CPU ms a text", "p50 ms", title=precision)
    for sample in varied(document, precision, name):
        measured, limit = fastest_round(sample), limit_texts_per_s(document, sample)
        table.add_row(
            str(sample["load"][name]),
            f"{measured['texts_per_s']:.1f}",
            f"{limit:.1f}",
            f"{measured['texts_per_s'] / limit:.2f}",
            f"{measured['cpu_ms']:.1f}",
            f"{measured['p50_ms']:.0f}",
        )
    return table
