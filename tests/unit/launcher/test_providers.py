"""Execution providers of the `onnxruntime` backend, by the rules of NVIDIA's."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson

from launcher.backends.onnxruntime.logic.providers import (
    CPU,
    CUDA,
    NO_LIMIT,
    choose_providers,
    cuda_options,
    require_cuda,
)
from launcher.repository.config import read_config
from launcher.repository.contract import MODEL_REPOSITORY

LIMITED = {"gpu_mem_limit": "1000", "arena_extend_strategy": "kSameAsRequested"}


def config(accelerator: str = "cuda", **parameters: str) -> dict[str, Any]:
    accelerators = {"gpu_execution_accelerator": [{"name": accelerator, "parameters": LIMITED}]}
    return {
        "optimization": {"execution_accelerators": accelerators},
        "parameters": {name: {"string_value": value} for name, value in parameters.items()},
    }


def test_an_instance_for_the_cpu_uses_only_the_cpu() -> None:
    assert choose_providers(config(), "CPU", "0", [CUDA, CPU]) == [CPU]


def test_an_instance_for_a_gpu_uses_cuda_on_that_gpu() -> None:
    assert choose_providers(config(), "GPU", "3", [CUDA, CPU]) == [(CUDA, {**LIMITED, "device_id": "3"}), CPU]
    assert choose_providers({}, "GPU", "0", [CUDA, CPU]) == [(CUDA, {"device_id": "0"}), CPU]


def test_a_gpu_needs_an_onnx_runtime_with_cuda() -> None:
    with pytest.raises(ValueError, match=r"cannot use a GPU: run `make setup GPU=1`"):
        choose_providers(config(), "GPU", "0", [CPU])
    with pytest.raises(ValueError, match="not on MODEL"):
        choose_providers(config(), "MODEL", "0", [CUDA, CPU])


def test_any_parameter_overrides_the_accelerator() -> None:
    defaults = {
        "gpu_mem_limit": NO_LIMIT,
        "arena_extend_strategy": "kNextPowerOfTwo",
        "do_copy_in_default_stream": "1",
    }
    assert cuda_options(config(intra_op_thread_count="1")) == defaults
    given = {"gpu_mem_limit": "7", "arena_extend_strategy": "1", "do_copy_in_default_stream": "0"}
    assert cuda_options(config(**given)) == {**given, "arena_extend_strategy": "kSameAsRequested"}


def test_what_the_cpp_backend_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown accelerator 'tensorrt'"):
        cuda_options(config("tensorrt"))
    with pytest.raises(ValueError, match=r"0 \(kNextPowerOfTwo\) or 1 \(kSameAsRequested\)"):
        cuda_options(config(arena_extend_strategy="kSameAsRequested"))


@pytest.mark.parametrize("model", ["rejection", "aegis"])
def test_the_tracked_configs_are_read(model: str) -> None:
    tracked = read_config(MODEL_REPOSITORY / model / "config.pbtxt")
    as_json = json.loads(MessageToJson(tracked, preserving_proto_field_name=True))
    assert set(cuda_options(as_json)) == {
        "gpu_mem_limit",
        "arena_extend_strategy",
        "do_copy_in_default_stream",
    }


def test_a_session_that_fell_back_to_the_cpu_is_refused() -> None:
    require_cuda([CUDA, CPU])
    with pytest.raises(ValueError, match="could not use the GPU"):
        require_cuda([CPU])
