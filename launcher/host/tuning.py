"""Fits the tracked configs to this host, as `configs/local.pbtxt` beside each of them.

On a CPU one thread for each of several instances does more than several threads for one, and a batch
saves next to nothing: as many instances as cores, one thread each, and no batching across requests,
which would keep one instance busy while another waits.
"""

import os
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInstanceGroup

from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.host.prepacking import PACKED_MODEL
from launcher.repository.config import read_config

CONFIG_NAME = "local"
# https://github.com/triton-inference-server/vllm_backend, `auto_complete_config` in src/model.py.
VLLM_INPUTS = {
    "text_input": DataType.TYPE_STRING,
    "stream": DataType.TYPE_BOOL,
    "sampling_parameters": DataType.TYPE_STRING,
    "exclude_input_in_output": DataType.TYPE_BOOL,
    "return_finish_reason": DataType.TYPE_BOOL,
    "return_cumulative_logprob": DataType.TYPE_BOOL,
    "return_logprobs": DataType.TYPE_BOOL,
    "return_num_input_tokens": DataType.TYPE_BOOL,
    "return_num_output_tokens": DataType.TYPE_BOOL,
}
VLLM_OUTPUTS = {
    "text_output": DataType.TYPE_STRING,
    "finish_reason": DataType.TYPE_STRING,
    "cumulative_logprob": DataType.TYPE_FP32,
    "logprobs": DataType.TYPE_STRING,
    "num_input_tokens": DataType.TYPE_UINT32,
    "num_output_tokens": DataType.TYPE_UINT32,
}


def available_cores() -> int:
    """Number of cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def tune(config: ModelConfig, instances: int) -> ModelConfig:
    """Copy of a model's config for a CPU.

    instances: how many of an encoder, one thread each.
    The LLM gets its own environment, and the tensors that NVIDIA's backend would add by itself.
    """
    tuned = ModelConfig()
    tuned.CopyFrom(config)
    if config.backend == "onnxruntime":
        del tuned.instance_group[:]
        tuned.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=instances)
        tuned.parameters["intra_op_thread_count"].string_value = "1"
        tuned.parameters["inter_op_thread_count"].string_value = "1"
        tuned.default_model_filename = PACKED_MODEL
        tuned.ClearField("dynamic_batching")
    if "pad_to_multiple_of" in config.parameters:
        tuned.parameters["pad_to_multiple_of"].string_value = "1"
    if config.backend == "vllm":
        tuned.parameters["EXECUTION_ENV_PATH"].string_value = str(JUDGE_ENVIRONMENT)
        for name, kind in VLLM_INPUTS.items():
            tuned.input.add(name=name, data_type=kind, dims=[1], optional=name != "text_input")
        for name, kind in VLLM_OUTPUTS.items():
            tuned.output.add(name=name, data_type=kind, dims=[-1])
    return tuned


def write_local_configs(repository: Path, instances: int) -> None:
    """Write `configs/local.pbtxt` for each model of `repository` that is tuned, replacing an older one."""
    for path in sorted(repository.glob("*/config.pbtxt")):
        config = read_config(path)
        tuned = tune(config, instances)
        local = path.parent / "configs" / f"{CONFIG_NAME}.pbtxt"
        local.unlink(missing_ok=True)
        if tuned != config:
            local.parent.mkdir(exist_ok=True)
            local.write_text(text_format.MessageToString(tuned), "utf-8")
