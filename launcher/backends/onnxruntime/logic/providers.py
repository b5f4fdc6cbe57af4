"""Chooses an instance's execution providers, with the options that NVIDIA's ONNX Runtime backend gives them.

https://github.com/triton-inference-server/onnxruntime_backend, `ModelState::LoadModel` of src/onnxruntime.cc
at r24.10.
"""

from collections.abc import Mapping, Sequence
from typing import Any

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
ARENA_STRATEGIES = ("kNextPowerOfTwo", "kSameAsRequested")
# As a config without limit has it: the largest 64-bit number.
NO_LIMIT = str(2**64 - 1)
Provider = str | tuple[str, dict[str, str]]


def choose_providers(
    config: Mapping[str, Any], kind: str, device_id: str, available: Sequence[str]
) -> list[Provider]:
    """Providers of an instance, by preference; shapes and the like are computed on the CPU anyway.

    config: a ModelConfig as JSON. kind: `CPU` or `GPU`. device_id: number of the GPU.
    available: providers of the installed ONNX Runtime.

    Raises ValueError for another kind, or if ONNX Runtime was installed without CUDA.
    """
    if kind == "CPU":
        return [CPU]
    if kind != "GPU":
        raise ValueError(f"this backend runs on a CPU or a GPU, not on {kind}")
    if CUDA not in available:
        raise ValueError("the installed onnxruntime cannot use a GPU: run `make setup GPU=1`")
    return [(CUDA, {**cuda_options(config), "device_id": device_id}), CPU]


def cuda_options(config: Mapping[str, Any]) -> dict[str, str]:
    """Options of the CUDA provider as NVIDIA's backend reads them.

    If the config has any `parameters`, their values or defaults win over those of the accelerator `cuda`.
    Raises ValueError for another accelerator or an unknown arena strategy.
    """
    options: dict[str, str] = {}
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    for accelerator in accelerators.get("gpu_execution_accelerator", []):
        if accelerator["name"] != "cuda":
            raise ValueError(f"unknown accelerator {accelerator['name']!r}: this backend has only cuda")
        options |= accelerator.get("parameters", {})
    parameters = {name: value["string_value"] for name, value in config.get("parameters", {}).items()}
    if parameters:
        options["gpu_mem_limit"] = parameters.get("gpu_mem_limit", NO_LIMIT)
        options["arena_extend_strategy"] = _arena_strategy(parameters.get("arena_extend_strategy", "0"))
        options["do_copy_in_default_stream"] = parameters.get("do_copy_in_default_stream", "1")
    return options


def require_cuda(used: Sequence[str]) -> None:
    """Raise ValueError unless a session for a GPU uses it.

    used: providers of the session. ONNX Runtime falls back to the CPU if a library of CUDA is missing.
    """
    if CUDA not in used:
        raise ValueError(
            "ONNX Runtime could not use the GPU, and its reason is in the log above: run `make setup GPU=1`, "
            "and check that the driver supports CUDA 13"
        )


def _arena_strategy(number: str) -> str:
    if number not in ("0", "1"):
        raise ValueError(f"arena_extend_strategy is 0 ({ARENA_STRATEGIES[0]}) or 1 ({ARENA_STRATEGIES[1]})")
    return ARENA_STRATEGIES[int(number)]
