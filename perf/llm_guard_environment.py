"""LLM Guard, installed apart: its packages and Tribunal's exclude each other."""

import subprocess
import sys
import venv
from pathlib import Path

from launcher.repository.contract import CHECKOUT

ENVIRONMENT = CHECKOUT / "build" / "tools" / "llm_guard"
PACKAGES = ("llm-guard==0.3.16", "optimum[onnxruntime]==1.25.2", "torch==2.13.0", "transformers==4.51.3")


def find_llm_guard() -> Path:
    """Python of the environment that has LLM Guard; made where it is not there yet."""
    python = ENVIRONMENT / "bin" / "python"
    ready = ENVIRONMENT / ".ready"
    if not ready.exists():
        venv.create(ENVIRONMENT, clear=True)
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES], check=True)
        ready.touch()
    return python


def write_llm_guard_checkpoint(folder: Path) -> Path:
    """The refusal model of `folder`/checkpoints with its ONNX file, as the hub has it for LLM Guard."""
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer

    written = folder / "llm_guard"
    if not written.exists():
        checkpoint = folder / "checkpoints" / "rejection"
        AutoTokenizer.from_pretrained(checkpoint).save_pretrained(written)
        ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True).save_pretrained(written)
    return written
