"""Baseline `llm-guard`: LLM Guard's NoRefusal scanner with ONNX.

It screens only for refusals and reads only the first 128 tokens. LLM Guard has its own environment, because
its packages conflict with Tribunal's.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perf.baselines.other_environment import install
from perf.baselines.registry import EncoderFiles, Precision, RunRound
from perf.baselines.round_process import LIBRARY_ENVIRONMENT, RoundProcess
from perf.load.rounds import LATENCY_LOAD, Load
from perf.load.workload import WARM_UP_TEXTS, WORKLOAD_FILE
from perf.paths import OUTPUT_FOLDER

PACKAGES = ("llm-guard==0.3.16", "optimum[onnxruntime]==1.25.2", "torch==2.13.0", "transformers==4.51.3")
SCRIPT = Path(__file__).parent / "other_environments" / "llm_guard_rounds.py"


@dataclass(frozen=True)
class LlmGuardBaseline:
    """The scanner in its own process."""

    name: str = "llm-guard"
    description: str = "LLM Guard's NoRefusal scanner (refusal alone, first 128 tokens)"
    loads: tuple[Load, ...] = (LATENCY_LOAD,)
    is_reference: bool = False
    precision: Precision = "fp32"

    @contextlib.contextmanager
    def start(self, encoders: EncoderFiles) -> Iterator[RunRound]:
        """Install LLM Guard and export its model if missing; yields a function that runs a round."""
        model = export_scanner_model(encoders.checkpoints / "rejection", OUTPUT_FOLDER / "llm_guard")
        command: list[str | Path] = [
            *(install("llm_guard", PACKAGES) / "python", SCRIPT),
            *(model, WORKLOAD_FILE, str(WARM_UP_TEXTS)),
        ]
        with RoundProcess(command, LIBRARY_ENVIRONMENT) as process:
            process.wait_until_ready()
            yield process.run_round


def export_scanner_model(checkpoint: Path, folder: Path) -> Path:
    """Export the checkpoint to ONNX for LLM Guard if the export is missing; returns `folder`."""
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer

    if not folder.exists():
        AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
        ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True).save_pretrained(folder)
    return folder


BASELINES = (LlmGuardBaseline(),)
