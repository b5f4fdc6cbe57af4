"""Requirements that a model must meet before its engine starts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_engine_arguments(version_folder: Path) -> dict[str, Any]:
    """Arguments of vllm.AsyncEngineArgs in `model.json`; raises ValueError if the file is missing."""
    path = version_folder / "model.json"
    if not path.is_file():
        raise ValueError(f"{path}, which holds the arguments of vLLM's engine, is missing")
    arguments: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return arguments


def require_servable(config: Mapping[str, Any], arguments: Mapping[str, Any], instance_kind: str) -> None:
    """Raise ValueError if NVIDIA's backend would not load the model, or would load LoRA adapters.

    config: of the model, as Triton passes it. instance_kind: `GPU`, `MODEL`, ...
    """
    if not config.get("model_transaction_policy", {}).get("decoupled"):
        raise ValueError("the model must be decoupled: model_transaction_policy { decoupled: true }")
    if config["max_batch_size"] != 0:
        raise ValueError(f"max_batch_size must be 0, not {config['max_batch_size']}: vLLM batches by itself")
    if str(arguments.get("enable_lora", False)).lower() == "true":
        raise ValueError("enable_lora is not supported here")
    devices = int(arguments.get("tensor_parallel_size", 1)) * int(arguments.get("pipeline_parallel_size", 1))
    if devices > 1 and instance_kind == "GPU":
        raise ValueError("an instance of KIND_GPU has one GPU; for several the kind must be KIND_MODEL")


def is_enabled(config: Mapping[str, Any], parameter: str) -> bool:
    """Whether a parameter of the config is `true`, in upper or lower case."""
    value: str = config.get("parameters", {}).get(parameter, {}).get("string_value", "")
    return value.lower() == "true"
