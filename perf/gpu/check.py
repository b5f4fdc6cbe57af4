"""`python -m perf gpu-check`: what a GPU host serves: equal decisions, its speed, and what limits it.

It starts a server with the demonstration encoders in fp16 and compares their scores with fp32 on the CPU.
Then it starts one with the full-size encoders, and loads it from the first second on. At last it measures
the judge beside vLLM alone.
Each step takes seconds; without an export it also exports. No network is needed once packages are installed.
"""

import argparse
import json
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from onnxruntime import InferenceSession
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer
from tribunal import Client

from export_scripts.hub_models import ENCODERS
from export_scripts.parity_texts import parity_texts
from launcher.exposure.ports import free_ports
from launcher.host.devices import has_gpu
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.manifest import MANIFEST
from model_repository.tokenizer.logic.encoding import TextEncoder
from model_repository.verdict.logic.scores import category_probabilities, rejection_probabilities
from perf.gpu.judge import judge_report
from perf.gpu.meter import GpuMeter
from perf.load.perf_analyzer import install_perf_analyzer
from perf.load.workload import read_workload
from perf.paths import OUTPUT_FOLDER
from perf.samples import describe_origin
from perf.serving.exports import CHECKPOINTS, full_size_repository, run_module, write_checkpoints

FOLDER = OUTPUT_FOLDER / "gpu_check"
# Callers, and texts in a request.
LOADS = ((1, 1), (32, 1), (128, 1), (8, 16), (32, 16), (64, 16))
# The load of a server's first second, which is measured again at the end.
COLD_LOAD = (32, 16)
COLD_S = 1.0
TEXT_STRIDE = 3
DECISION_THRESHOLD = 0.5
START_TIMEOUT_S = 900.0
console = Console()
Floats = npt.NDArray[np.float32]


@dataclass
class Step:
    """What one load showed.

    failure: why there are no rates.
    models: of each composing model the texts of an execution, and the times of a request in ms.
    cores: by process. gpu_percent: share of time with a kernel on the GPU; gpu_mib: memory of all processes.
    """

    callers: int
    texts: int
    cold: bool
    texts_per_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    failure: str | None = None
    models: dict[str, dict[str, float]] = field(default_factory=dict)
    cores: dict[str, float] = field(default_factory=dict)
    gpu_percent: float | None = None
    gpu_mib: float | None = None


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of `python -m perf gpu-check`."""
    command.add_argument("--triton", type=Path, metavar="DIR", help="a tritonserver other than the found one")
    command.add_argument("--seconds", type=float, default=3.0, metavar="S", help="of each load (%(default)s)")
    command.add_argument(
        "--output", type=Path, default=FOLDER / "report.json", metavar="FILE", help="file of the report"
    )
    command.add_argument("--without-gpu", action="store_true", help="rehearse on a CPU, with fp32")
    command.add_argument("--without-judge", action="store_true", help="measure only the encoders")


def main(
    triton: Path | None, seconds: float, output: Path, *, without_gpu: bool, without_judge: bool = False
) -> int:
    """Run the check and write the report; returns the exit status."""
    if not has_gpu() and not without_gpu:
        console.print("no GPU is to be seen here; --without-gpu rehearses on a CPU")
        return 1
    precision = "fp32" if without_gpu else "fp16"
    report: dict[str, Any] = {**describe_origin(), "gpu": GpuMeter.name(), "precision": precision}
    output.parent.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        output.write_text(json.dumps(report, indent=2), "utf-8")

    reference = exported("demo", "fp32", FOLDER / "demo_fp32")
    with serve(exported("demo", precision, FOLDER / f"demo_{precision}"), triton) as server:
        report["parity"] = parity(server, reference)
        save()
        console.print(f"parity: {report['parity']}")
    if not CHECKPOINTS.exists() and not (full_size_repository(precision) / MANIFEST).exists():
        write_checkpoints(ENCODERS)
    started_s = time.monotonic()
    with serve(exported(str(CHECKPOINTS), precision, full_size_repository(precision)), triton) as server:
        report["start_s"] = round(time.monotonic() - started_s, 1)
        report["steps"] = []
        for step in measured(server, seconds):
            report["steps"].append(asdict(step))
            save()
            console.print(line_of(step))
    show(report["steps"])
    if not without_judge:
        report["judge"] = judge_report(full_size_repository(precision), triton, on_gpu=not without_gpu)
        save()
        for row in report["judge"].get("figures", [report["judge"]]):
            console.print(f"judge: {row}")
    console.print(f"report: {output}")
    return 0


def exported(source: str, precision: str, repository: Path) -> Path:
    """The encoders of `source` at `precision` in `repository`; exports them if missing."""
    if not (repository / MANIFEST).exists():
        with console.status(f"exporting {source} at {precision}"):
            options = ("--models", *ENCODERS, "--precision", precision, "--repository", str(repository))
            run_module("export_scripts", "--source", source, *options)
    return repository


def serve(repository: Path, triton: Path | None) -> TritonServer:
    """A server of `repository` without a judge."""
    options = ServerOptions(
        repository,
        FOLDER / f"{repository.name}.log",
        ports=free_ports(),
        judge=False,
        triton=triton,
        start_timeout_s=START_TIMEOUT_S,
    )
    return TritonServer(options)


def parity(server: TritonServer, reference: Path) -> dict[str, float]:
    """Compare the server's scores with those of the fp32 graphs of `reference` on the CPU.

    The texts are sent singly and all in one batch; some have several windows.
    """
    texts = [*parity_texts()[::TEXT_STRIDE], " ".join(parity_texts())[:20000]]
    expected = np.concatenate([reference_scores(reference, name, texts) for name in ENCODERS], axis=1)
    with Client(server.grpc_url) as client:
        single = [client.moderate(text, judge="never") for text in texts]
        together = client.moderate_batch(texts, judge="never")
    result = {"texts": float(len(texts))}
    for form, verdicts in (("single", single), ("batch", together)):
        scores = np.array([[v.refusal.score, *v.categories.scores.values()] for v in verdicts])
        result[f"{form}_max_score_difference"] = float(np.abs(scores - expected).max())
        result[f"{form}_equal_decisions"] = float(
            np.mean((scores >= DECISION_THRESHOLD) == (expected >= DECISION_THRESHOLD))
        )
    return result


def reference_scores(repository: Path, name: str, texts: list[str]) -> Floats:
    """Scores FP32 [texts, labels] by the graph of one encoder, window by window."""
    encoder = TextEncoder(
        Tokenizer.from_file(str(repository / "tokenizer" / "1" / f"{name}.json")),
        max_tokens=512,
        overlap_tokens=64,
        max_windows=32,
        special_tokens_in_text="ordinary",
    )
    session = InferenceSession(repository / name / "1" / "model.onnx", providers=["CPUExecutionProvider"])

    def logits(window: Any) -> Floats:
        ids = np.array([[window]], dtype=np.int32)
        (output,) = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return np.asarray(output)

    rows = []
    for text in texts:
        windows = np.concatenate([logits(w) for w in encoder.windows(encoder.ids(text)).windows], axis=1)
        if name == "rejection":
            rows.append(rejection_probabilities(windows).max(axis=1))
        else:
            rows.append(category_probabilities(windows).max(axis=1)[0])
    return np.array(rows)


def measured(server: TritonServer, seconds: float) -> Iterator[Step]:
    """The steps: the cold load from the first second on, then each load."""
    analyzer = install_perf_analyzer()
    texts = read_workload()
    for callers, count, cold in ((*COLD_LOAD, True), *((*load, False) for load in LOADS)):
        step = Step(callers, count, cold)
        before, used = statistics(server), processor_seconds()
        started_s = time.monotonic()
        with GpuMeter() as gpu:
            try:
                (row,) = analyzer.measure(
                    server.grpc_url,
                    "grpc",
                    ("--concurrency-range", str(callers)),
                    texts,
                    count,
                    interval_s=(COLD_S if cold else seconds) / 3,
                )
                step.texts_per_s = round(row["Inferences/Second"], 1)
                step.p50_ms = round(row["p50 latency"] / 1000, 2)
                step.p99_ms = round(row["p99 latency"] / 1000, 2)
            except RuntimeError as error:
                step.failure = str(error)
        elapsed_s = time.monotonic() - started_s
        after = processor_seconds()
        step.models = model_figures(before, statistics(server))
        step.cores = {name: round((after[name] - used.get(name, 0.0)) / elapsed_s, 2) for name in after}
        step.gpu_percent, step.gpu_mib = gpu.mean_percent, gpu.most_mib
        yield step


def statistics(server: TritonServer) -> dict[str, dict[str, float]]:
    """Triton's counters of each composing model."""
    counters = {}
    for name in ("tokenizer", *ENCODERS, "verdict"):
        with urllib.request.urlopen(f"{server.http_url}/v2/models/{name}/stats") as answer:  # noqa: S310
            (model,) = json.load(answer)["model_stats"]
        inferences = model["inference_stats"]
        counters[name] = {
            "texts": model["inference_count"],
            "executions": model["execution_count"],
            "requests": inferences["success"]["count"],
            "queue_ms": inferences["queue"]["ns"] / 1e6,
            "compute_ms": inferences["compute_infer"]["ns"] / 1e6,
        }
    return counters


def model_figures(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Texts of an execution, and queue and compute time of a request, of each model."""
    figures = {}
    for name, counts in after.items():
        grown = {key: value - before[name][key] for key, value in counts.items()}
        requests, executions = max(grown["requests"], 1), max(grown["executions"], 1)
        figures[name] = {
            "texts_per_execution": round(grown["texts"] / executions, 1),
            "queue_ms": round(grown["queue_ms"] / requests, 3),
            "compute_ms": round(grown["compute_ms"] / requests, 3),
        }
    return figures


def processor_seconds() -> dict[str, float]:
    """Processor time of this process's children, the stubs of a model together."""
    used: dict[str, float] = defaultdict(float)
    for process in psutil.Process().children(recursive=True):
        try:
            times, words = process.cpu_times(), process.cmdline()
        except psutil.NoSuchProcess:
            continue
        stub = next((Path(word).parent.parent.name for word in words if word.endswith("model.py")), None)
        used[stub or process.name()] += times.user + times.system
    return used


def line_of(step: Step) -> str:
    """One step in a line."""
    models = ", ".join(
        f"{name} {f['texts_per_execution']:g} texts {f['queue_ms']:g}+{f['compute_ms']:g} ms"
        for name, f in step.models.items()
    )
    return (
        f"{step.callers} x {step.texts}{' cold' if step.cold else ''}: {step.texts_per_s} texts/s, "
        f"p50 {step.p50_ms} p99 {step.p99_ms} ms; {models}; cores {step.cores}; "
        f"GPU {step.gpu_percent} %, {step.gpu_mib} MiB"
    )


def show(steps: list[dict[str, Any]]) -> None:
    """Print a row for each step."""
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "callers x texts": lambda step: f"{step['callers']} x {step['texts']}{' cold' * step['cold']}",
        "texts/s": lambda step: str(step["texts_per_s"] or "no data"),
        "p50 ms": lambda step: str(step["p50_ms"]),
        "p99 ms": lambda step: str(step["p99_ms"]),
        "GPU %": lambda step: str(step["gpu_percent"]),
        "cores": lambda step: f"{sum(step['cores'].values()):.1f}",
    }
    table = Table(*columns)
    for step in steps:
        table.add_row(*(text(step) for text in columns.values()))
    console.print(table)
