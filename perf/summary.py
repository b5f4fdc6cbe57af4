"""`python -m perf summary`: one table of what the benchmarks have measured, with what is asked of each."""

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from perf.compare import RAW
from perf.rounds import Figures, Round

Row = tuple[str, str, str]
console = Console()


def compare_rows(document: dict[str, Any]) -> Iterator[Row]:
    """Ratios of throughput at 8 callers, and of latency at one."""

    def figures(name: str, callers: int) -> Figures:
        return Figures.of([Round(**one) for one in document["samples"][f"{name} callers={callers}"]])

    raw = figures(RAW, 8).texts_per_s
    fp32, int8 = (figures(f"tribunal {precision}", 8).texts_per_s for precision in ("fp32", "int8"))
    fastapi = figures("fastapi", 8).texts_per_s
    yield "throughput, fp32, to raw ONNX Runtime", f"{fp32 / raw:.3f}", ">= 0.95"
    yield "throughput, fp32, to FastAPI", f"{fp32 / fastapi:.2f}", ">= 2.5"
    yield "throughput, int8, to FastAPI", f"{int8 / fastapi:.2f}", ">= 4"
    for peer in ("transformers", "optimum"):
        yield f"throughput, fp32, to {peer}", f"{fp32 / figures(peer, 8).texts_per_s:.2f}", "> 1"
    alone, served = figures("raw-rejection", 1).p50_ms, figures("tribunal fp32", 1).p50_ms
    yield "p50 at one caller, to the slower encoder alone", f"{served / alone:.2f}", "<= 1.15"
    scanner = figures("llm-guard", 1).p50_ms
    yield "p50 at one caller, to LLM Guard (refusal alone, 128 tokens)", f"{served / scanner:.2f}", ""


def shapes_rows(document: dict[str, Any]) -> Iterator[Row]:
    """Ratios of batches, windows, repeats and memory."""
    median = {name: statistics.median(values) for name, values in document["ratios"].items()}
    yield "a batch of 32 mixed texts, to its texts one by one", f"{median['batch']:.2f}", "<= 1.1"
    yield "a text of 20 windows, to 20 of one", f"{median['windows']:.2f}", "<= 1.1"
    yield "throughput with the cache, 30 % repeats, to without", f"{median['cache']:.2f}", "> 1"
    memory = document["served_mib"] / document["weights_mib"]
    yield "memory of the server, to its weights", f"{memory:.2f}", "<= 1.5"
    growth = document["demo_mib"][-1] / document["demo_mib"][0]
    yield "memory after 20,000 requests, to before", f"{growth:.2f}", "flat"


def judge_rows(document: dict[str, Any]) -> Iterator[Row]:
    """Judged texts per second, to the engine alone."""
    rates = {name: statistics.median(values) for name, values in document["texts_per_s"].items()}
    for explain, what in ((False, "label alone"), (True, "with its reason")):
        ratio = rates[f"moderation explain={explain}"] / rates[f"bare explain={explain}"]
        yield f"judged texts/s, {what}, to bare vLLM", f"{ratio:.2f}", ">= 0.9"


def start_rows(document: dict[str, Any]) -> Iterator[Row]:
    """Seconds to ready."""
    for label, values in document["start_s"].items():
        asked = "<= 10 s" if label == "encoders alone, cold" else ""
        yield f"start on demonstration weights, {label}", f"{statistics.median(values):.1f} s", asked


ROWS = {"compare": compare_rows, "shapes": shapes_rows, "judge": judge_rows, "start": start_rows}


def main(folder: Path) -> None:
    """Print the table of what has been measured in `folder`."""
    table = Table("what", "measured", "asked")
    for name, rows in ROWS.items():
        samples = folder / f"{name}.json"
        if samples.exists():
            for row in rows(json.loads(samples.read_text("utf-8"))):
                table.add_row(*row)
    console.print(table)
