"""Exports the judge: its checkpoint for vLLM, its rendered prompt, and its tokenizer."""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from transformers import AutoConfig, AutoTokenizer

from export_scripts.errors import SourceError
from export_scripts.export import Export
from export_scripts.hub_models import JUDGE
from export_scripts.prompt_template import render_prompt, verbatim_tokenizer
from export_scripts.sources import Source

Target = Literal["cpu", "gpu"]
WEIGHTS = Path("phi3") / "1" / "weights"
# Arguments of vllm.AsyncEngineArgs for each target. On a GPU fp16, as in the card's own example; on
# the CPU fp32, as the reference has it, and no graphs, which only a GPU captures.
ENGINE_ARGUMENTS: dict[Target, dict[str, Any]] = {
    "cpu": {"dtype": "float32", "enforce_eager": True, "max_model_len": 1024},
    "gpu": {"dtype": "float16", "max_model_len": 4096, "gpu_memory_utilization": 0.5},
}


def export_judge(
    source: Source, staged: Path, served_from: Path, target: Target, tensor_parallel_size: int = 1
) -> Export:
    """Write the judge's files below `staged`; the server will see them below `served_from`.

    Raises SourceError where the checkpoint is damaged, or no Phi-3 with a chat template.
    """
    try:
        config = AutoConfig.from_pretrained(source.folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(source.folder, local_files_only=True, use_fast=True)
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"judge: {source.folder} is damaged or incomplete ({reason})") from error
    if config.architectures != [JUDGE.architecture]:
        raise SourceError(f"judge: {source.folder} is a {config.architectures}, not a {JUDGE.architecture}")
    weights = sorted(source.folder.glob("*.safetensors"))
    if not weights:
        raise SourceError(f"judge: {source.folder} holds no *.safetensors; fetch it again")
    served = verbatim_tokenizer(tokenizer)
    prompt = render_prompt(served)

    folder = staged / WEIGHTS
    folder.mkdir(parents=True)
    for file in (*weights, *source.folder.glob("*.index.json"), *source.folder.glob("*config.json")):
        shutil.copy(file, folder)
    served.save_pretrained(folder)
    arguments = {
        "model": str((served_from / WEIGHTS).resolve()),
        **ENGINE_ARGUMENTS[target],
        "tensor_parallel_size": tensor_parallel_size,
    }
    (staged / "phi3" / "1" / "model.json").write_text(json.dumps(arguments, indent=2) + "\n", "utf-8")
    for model in ("judge_prompt", "toxicity"):
        (staged / model / "1").mkdir(parents=True, exist_ok=True)
    prompt.write(staged / "judge_prompt" / "1" / "prompt.json")
    served.backend_tokenizer.save(str(staged / "toxicity" / "1" / "tokenizer.json"))
    files = [
        *(path.relative_to(staged) for path in sorted(folder.iterdir())),
        Path("phi3") / "1" / "model.json",
        Path("judge_prompt") / "1" / "prompt.json",
        Path("toxicity") / "1" / "tokenizer.json",
    ]
    return Export(source, arguments["dtype"], tuple(files), ("transformers", "tokenizers"))
