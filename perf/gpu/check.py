"""`python -m perf gpu-check`: every way to run the encoders on a GPU, compared with the CPU, in one report.

It exports the encoders, builds the TensorRT engines, serves each variant, compares its scores with those
of the CPU, and measures throughput. For a step that cannot run here, the report gives the reason. With
`--without-gpu` it runs, on a CPU, the steps that need no GPU.
"""

import argparse
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from tribunal import Client, TribunalError, Verdict

from export_scripts.parity_texts import parity_texts
from launcher.exposure.ports import free_ports
from launcher.host.devices import has_gpu
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from perf.load.callers import screen_workload, warm_up
from perf.load.rounds import Round
from perf.paths import OUTPUT_FOLDER
from perf.samples import write_samples
from perf.serving.exports import run_module

FOLDER = OUTPUT_FOLDER / "gpu_check"
CALLERS = (1, 8, 32)
TEXT_STRIDE = 6
DECISION_THRESHOLD = 0.5
START_TIMEOUT_S = 900.0
console = Console()


@dataclass(frozen=True)
class Variant:
    """One way to run the encoders.

    export: options of `export_scripts`. config: the launcher's. needs_engines: whether to build TensorRT's.
    """

    name: str
    export: tuple[str, ...]
    config: str
    needs_engines: bool = False


REFERENCE = Variant("cpu-fp32", ("--precision", "fp32"), "auto")
VARIANTS = (
    Variant("onnxruntime-fp16", ("--precision", "fp16"), "tracked"),
    Variant("tensorrt-fp16", ("--precision", "fp16", "--unfused"), "tensorrt", needs_engines=True),
)


@dataclass
class Outcome:
    """The results of one variant; `skipped` gives the reason if it has none.

    max_score_difference, equal_decisions: compared with the reference, over all scores of all texts.
    texts_per_s, p50_ms, p99_ms: by number of callers.
    """

    variant: str
    skipped: str | None = None
    max_score_difference: float | None = None
    equal_decisions: float | None = None
    texts_per_s: dict[int, float] = field(default_factory=dict)
    p50_ms: dict[int, float] = field(default_factory=dict)
    p99_ms: dict[int, float] = field(default_factory=dict)
    gpu_memory_mib: int | None = None
    elapsed_s: float = 0.0


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of `python -m perf gpu-check`."""
    command.add_argument("--source", default="demo", metavar="demo|hub|DIR", help="weights to export")
    command.add_argument(
        "--output", type=Path, default=FOLDER / "report.json", metavar="FILE", help="file of the report"
    )
    command.add_argument("--without-gpu", action="store_true", help="rehearse on a CPU")


def main(source: str, output: Path, *, without_gpu: bool) -> int:
    """Run every variant and write the report; returns the exit status."""
    if not has_gpu() and not without_gpu:
        console.print("no GPU is to be seen here; --without-gpu rehearses what needs none")
        return 1
    reference, scores = run_variant(REFERENCE, source, None)
    outcomes = [reference]
    for variant in VARIANTS:
        outcome, _ = run_variant(variant, source, scores)
        outcomes.append(outcome)
    write_samples(
        output, {"source": source, "gpu": gpu_name(), "outcomes": [asdict(one) for one in outcomes]}
    )
    show(outcomes)
    return 1 if reference.skipped else 0


def run_variant(
    variant: Variant, source: str, reference: npt.NDArray[np.float64] | None
) -> tuple[Outcome, npt.NDArray[np.float64] | None]:
    """Export, build, serve and measure; returns the outcome and the scores FP64 [texts, scores]."""
    started_s = time.monotonic()
    outcome = Outcome(variant.name)
    scores = None
    try:
        if variant.needs_engines and not has_gpu():
            raise RuntimeError("TensorRT needs a GPU")
        scores = measure(variant, source, reference, outcome)
    except (RuntimeError, TribunalError) as error:
        outcome.skipped = str(error).splitlines()[-1][:500]
    outcome.elapsed_s = round(time.monotonic() - started_s, 1)
    console.print(f"{variant.name}: {outcome.skipped or 'done'} ({outcome.elapsed_s} s)", soft_wrap=True)
    return outcome, scores


def measure(
    variant: Variant, source: str, reference: npt.NDArray[np.float64] | None, outcome: Outcome
) -> npt.NDArray[np.float64]:
    """Fill `outcome`; returns the scores. Raises RuntimeError or TribunalError if a step fails."""
    repository = FOLDER / variant.name
    options = ("--models", "rejection", "aegis", *variant.export, "--repository", str(repository))
    run_module("export_scripts", "--source", source, *options)
    if variant.needs_engines:
        run_module("export_scripts.tensorrt", "--repository", str(repository))
    server = TritonServer(
        ServerOptions(
            repository,
            FOLDER / f"{variant.name}.log",
            ports=free_ports(),
            judge=False,
            config=variant.config,
            start_timeout_s=START_TIMEOUT_S,
        )
    )
    with server, Client(server.grpc_url, timeout_s=120) as client:
        warm_up(client)
        texts = parity_texts()[::TEXT_STRIDE]
        scores = np.array([scores_of(client.moderate(text, judge="never")) for text in texts])
        if reference is not None:
            decisions = (scores >= DECISION_THRESHOLD) == (reference >= DECISION_THRESHOLD)
            outcome.max_score_difference = float(np.abs(scores - reference).max())
            outcome.equal_decisions = float(decisions.mean())
        for callers in CALLERS:
            record(outcome, callers, partial(screen_workload, client, callers))
        outcome.gpu_memory_mib = gpu_memory_mib()
    return scores


def scores_of(verdict: Verdict) -> list[float]:
    """The scores of the refusal and of all categories."""
    return [verdict.refusal.score, *verdict.categories.scores.values()]


def record(outcome: Outcome, callers: int, run: Callable[[], Round]) -> None:
    """Measure one load and record its figures; raises RuntimeError if texts failed."""
    measured = run()
    if measured.failures:
        raise RuntimeError(f"{measured.failures} texts failed at {callers} callers")
    outcome.texts_per_s[callers] = round(len(measured.latencies_ms) / measured.elapsed_s, 1)
    outcome.p50_ms[callers], outcome.p99_ms[callers] = (
        round(float(value), 1) for value in np.percentile(measured.latencies_ms, (50, 99))
    )


def gpu_name() -> str | None:
    """The GPUs that nvidia-smi lists; None if it is not installed."""
    return _nvidia_smi("name,driver_version,memory.total")


def gpu_memory_mib() -> int | None:
    """MiB that all processes use on the first GPU; None without a GPU."""
    used = _nvidia_smi("memory.used")
    return int(used.split()[0]) if used else None


def _nvidia_smi(query: str) -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None


def show(outcomes: list[Outcome]) -> None:
    """Print a row for each variant."""
    table = Table("variant", "largest difference", "equal decisions", "texts/s", "p50 ms", "p99 ms")
    for one in outcomes:
        figures = [" / ".join(map(str, by.values())) for by in (one.texts_per_s, one.p50_ms, one.p99_ms)]
        difference = "" if one.max_score_difference is None else f"{one.max_score_difference:.2g}"
        decisions = "" if one.equal_decisions is None else f"{one.equal_decisions:.2%}"
        table.add_row(one.variant, one.skipped or difference, decisions, *figures)
    console.print(table)
    console.print(f"texts/s and latencies at {', '.join(map(str, CALLERS))} callers")
