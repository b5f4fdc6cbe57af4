"""Exports the judge: weights in the served dtype, engine arguments, prompt and tokenizer."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from export_scripts.checkpoint import require_architecture
from export_scripts.errors import SourceError
from export_scripts.export import Export
from export_scripts.hub_models import JUDGE
from export_scripts.judge_engine import EngineOptions, GpuMemory, engine_arguments
from export_scripts.judge_tokenizer import (
    follows_card,
    load_tokenizer,
    splitting_tokenizer,
    tokenizer_source,
)
from export_scripts.judge_weights import Dtype, JudgeWeights
from export_scripts.prompt_template import render_prompt, verbatim_tokenizer
from export_scripts.sources import Source

WEIGHTS = Path("phi3") / "1" / "weights"
ENGINE = Path("phi3") / "1" / "model.json"
PROMPT = Path("judge_prompt") / "1" / "prompt.json"
SPLITTING_TOKENIZER = Path("verdict") / "1" / "tokenizer.json"
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")


@dataclass(frozen=True)
class Reporting:
    """Callbacks of an export.

    say: receives a sentence for the user.
    on_start: receives, once, the total of bytes to write. on_bytes: receives the bytes of each tensor.
    """

    say: Callable[[str], None] = lambda _: None
    on_start: Callable[[int], None] = lambda _: None
    on_bytes: Callable[[int], None] = lambda _: None


def export_judge(
    source: Source,
    staged: Path,
    served_from: Path,
    engine: EngineOptions,
    tokenizer: str | None = None,
    reporting: Reporting | None = None,
) -> Export:
    """Write the judge's files below `staged`; the server will read them below `served_from`.

    tokenizer: a folder, or `OWNER/MODEL[@REVISION]` on the hub; None for the checkpoint's own or, if it has
        none, the base model's.
    Raises SourceError if the checkpoint or the tokenizer is damaged, is no Phi-3 or has no chat template,
    and SpaceError if the disk has too little free space.
    """
    reporting = reporting or Reporting()
    config = _config(source.folder)
    weights = JudgeWeights.find(source.folder)
    weights.require_complete(config)
    origin = tokenizer_source(source, tokenizer, reporting.say)
    served = verbatim_tokenizer(load_tokenizer(origin, config))
    prompt = render_prompt(served)
    if origin is not source and not follows_card(prompt):
        reporting.say(
            f"judge: warning: the chat template of {origin.name} does not render the prompt as when the "
            "judge was tuned (<s><|user|> ... <|end|> <|assistant|>): its answers may differ from its card's"
        )

    folder = staged / WEIGHTS
    folder.mkdir(parents=True)
    dtype = engine.served_dtype(demo=source.name == "demo")
    weights.require_space(folder, dtype)
    size_bytes = weights.size_bytes(dtype)
    reporting.on_start(size_bytes)
    weights.write(folder, dtype, reporting.on_bytes)
    _write_configs(source.folder, folder, dtype)
    served.save_pretrained(folder)

    memory = GpuMemory.of(config, size_bytes, dtype, engine) if engine.target == "gpu" else None
    arguments = engine_arguments((served_from / WEIGHTS).resolve(), config, dtype, engine, memory)
    for file in (ENGINE, PROMPT, SPLITTING_TOKENIZER):
        (staged / file).parent.mkdir(parents=True, exist_ok=True)
    (staged / ENGINE).write_text(json.dumps(arguments, indent=2) + "\n", "utf-8")
    prompt.write(staged / PROMPT)
    splitting_tokenizer(served).save(str(staged / SPLITTING_TOKENIZER))

    reporting.say(f"judge: stored in {weights.dtype}, served in {dtype}")
    details: dict[str, Any] = {
        "source_dtype": weights.dtype,
        "served_dtype": dtype,
        "quantization": engine.quantization,
        "tokenizer": origin.origin(),
    }
    if origin is not source:
        details["tokenizer"]["prompt_as_tuned"] = follows_card(prompt)
    if memory:
        reporting.say(f"judge: {memory.sentence(engine.tensor_parallel_size)}")
        utilization = arguments["gpu_memory_utilization"]
        details["gpu_memory"] = {**memory.as_dict(), "gpu_memory_utilization": utilization}
    files = [
        *(path.relative_to(staged) for path in sorted(folder.iterdir())),
        *(ENGINE, PROMPT, SPLITTING_TOKENIZER),
    ]
    return Export(source, dtype, tuple(files), PACKAGES, details)


def _config(folder: Path) -> PretrainedConfig:
    require_architecture(folder, JUDGE)
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"judge: {folder} is damaged or incomplete ({reason})") from error
    return config


def _write_configs(checkpoint: Path, folder: Path, dtype: Dtype) -> None:
    """Write generation_config.json, and config.json with the served dtype and without `auto_map`."""
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    config.pop("auto_map", None)
    config["torch_dtype" if "torch_dtype" in config else "dtype"] = dtype
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    generation = checkpoint / "generation_config.json"
    if generation.exists():
        (folder / generation.name).write_bytes(generation.read_bytes())
