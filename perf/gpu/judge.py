"""The judge on a GPU: `moderation` beside vLLM alone, with random weights of the full architecture."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from perf.judge.throughput import figures, measure_judge, prepared
from perf.serving.exports import CHECKPOINTS, run_module

CALLERS = (1, 16, 64)
ALL_LAYERS, REHEARSED_LAYERS = 32, 2
TEXTS_PER_CALLER, REHEARSED_TEXTS = 8, 1
console = Console()


def judge_report(repository: Path, triton: Path | None, *, on_gpu: bool) -> dict[str, Any]:
    """Medians and samples of each number of callers and kind of answer.

    repository: of the encoders; the judge is exported to it. on_gpu: whether all its layers are served, on a
    GPU; otherwise two of them, on the CPU. Without an environment of vLLM the report says what is missing.
    """
    if not JUDGE_ENVIRONMENT.exists():
        return {"failure": "there is no environment of vLLM: run `make setup GPU=1`"}
    layers = ALL_LAYERS if on_gpu else REHEARSED_LAYERS
    with console.status("exporting the judge"):
        folder = CHECKPOINTS.with_name(f"{CHECKPOINTS.name}_judge_{layers}")
        if not folder.exists():
            run_module(
                "export_scripts.full_size", str(folder), "--models", "judge", "--judge-layers", str(layers)
            )
        run_module(
            *("export_scripts", "--source", str(folder), "--models", "judge"),
            *("--repository", str(repository), "--judge-target", "gpu" if on_gpu else "cpu"),
        )
    texts = TEXTS_PER_CALLER if on_gpu else REHEARSED_TEXTS
    samples = list(measure_judge(prepared(repository), 1, texts, CALLERS, triton))
    return {
        "layers": layers,
        "figures": [{**asdict(row), "ratio": round(row.ratio, 3)} for row in figures(samples)],
        "samples": [asdict(sample) for sample in samples],
    }
