"""Baseline `llm-guard`: LLM Guard's NoRefusal scanner with ONNX.

It screens for refusals alone and reads the first 128 tokens. LLM Guard is installed in its own environment,
because its packages and Tribunal's exclude each other.
"""

import contextlib
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perf.baselines.registry import EncoderFiles, Precision, RunRound
from perf.baselines.round_process import LIBRARY_ENVIRONMENT, RoundProcess
from perf.load.workload import WARM_UP_TEXTS, WORKLOAD_FILE
from perf.paths import OUTPUT_FOLDER, TOOLS_FOLDER
from perf.rounds import LATENCY_CALLERS

ENVIRONMENT = TOOLS_FOLDER / "llm_guard"
PACKAGES = ("llm-guard==0.3.16", "optimum[onnxruntime]==1.25.2", "torch==2.13.0", "transformers==4.51.3")
SCRIPT = Path(__file__).parent / "other_environments" / "llm_guard_rounds.py"


@dataclass(frozen=True)
class LlmGuardBaseline:
    """The scanner in a process of its own."""

    name: str = "llm-guard"
    description: str = "LLM Guard's NoRefusal scanner (refusal alone, first 128 tokens)"
    callers: int = LATENCY_CALLERS
    is_reference: bool = False
    precision: Precision = "fp32"

    @contextlib.contextmanager
    def start(self, encoders: EncoderFiles) -> Iterator[RunRound]:
        """Install LLM Guard and export its model unless that was done; yields what runs a round."""
        model = export_scanner_model(encoders.checkpoints / "rejection", OUTPUT_FOLDER / "llm_guard")
        command: list[str | Path] = [install_llm_guard(), SCRIPT, model, WORKLOAD_FILE, str(WARM_UP_TEXTS)]
        with RoundProcess(command, LIBRARY_ENVIRONMENT) as process:
            process.wait_until_ready()
            yield process.run_round


def install_llm_guard() -> Path:
    """Install LLM Guard unless that was done; returns the Python of its environment."""
    python = ENVIRONMENT / "bin" / "python"
    complete = ENVIRONMENT / ".ready"
    if not complete.exists():
        venv.create(ENVIRONMENT, clear=True)
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES], check=True)
        complete.touch()
    return python


def export_scanner_model(checkpoint: Path, folder: Path) -> Path:
    """Export the checkpoint to ONNX, as LLM Guard expects it, unless that was done; returns `folder`."""
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer

    if not folder.exists():
        AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
        ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True).save_pretrained(folder)
    return folder


BASELINES = (LlmGuardBaseline(),)
