"""Adapts the tracked configs to this host, as `configs/local.pbtxt` beside each of them.

On a CPU several single-threaded instances are faster than one with several threads, and batching saves next
to nothing. So there is one single-threaded instance per core, and no batching across requests, which would
keep one instance busy while another is idle. A host with GPUs needs several processes of the steps in Python
to keep the GPUs busy.
"""

import json
from collections.abc import Callable
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from launcher.host.files import CONFIG_NAME, PACKED_MODEL
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.host.vllm_tensors import add_vllm_tensors
from launcher.repository.config import read_config

# Each request passes them, and each holds one core while it works.
PYTHON_STEPS = frozenset({"tokenizer", "verdict"})


def tune_for_cpu(config: ModelConfig, instances: int, *, packed: bool = True) -> ModelConfig:
    """Copy of a model's config for a CPU.

    instances: number of single-threaded instances of an encoder.
    packed: the weights were packed for this processor, and our own backends serve them. The LLM then gets
    its own environment, and the tensors that NVIDIA's backend would add itself.
    """
    tuned = ModelConfig()
    tuned.CopyFrom(config)
    if config.backend == "onnxruntime":
        del tuned.instance_group[:]
        tuned.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=instances)
        tuned.parameters["intra_op_thread_count"].string_value = "1"
        tuned.parameters["inter_op_thread_count"].string_value = "1"
        if packed:
            tuned.default_model_filename = PACKED_MODEL
        tuned.ClearField("dynamic_batching")
        # The other warm-ups are for the kernels of a GPU, and take a CPU minutes.
        del tuned.model_warmup[1:]
    if "pad_to_multiple_of" in config.parameters:
        tuned.parameters["pad_to_multiple_of"].string_value = "1"
    if config.backend == "vllm" and packed:
        _use_own_vllm_backend(tuned)
    return tuned


def tune_for_gpu(
    config: ModelConfig, cores: int, *, judge_calls: int | None = None, own_backends: bool = False
) -> ModelConfig:
    """Copy of a model's config for a host with GPUs.

    judge_calls: concurrent calls of the judge; None: those of the config.
    own_backends: our own backends serve the models, so the LLM gets its own environment and its tensors.

    The steps in Python run in half as many processes as there are `cores`, because one of them would keep the
    GPU waiting. The encoders compute on the GPU, so more threads would only take cores from these steps.
    """
    tuned = ModelConfig()
    tuned.CopyFrom(config)
    if config.name in PYTHON_STEPS:
        del tuned.instance_group[:]
        tuned.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=max(1, cores // 2))
    if config.name == "verdict" and judge_calls is not None:
        tuned.parameters["judge_calls"].string_value = str(judge_calls)
    if config.backend == "vllm" and own_backends:
        _use_own_vllm_backend(tuned)
    if config.backend == "onnxruntime":
        del tuned.instance_group[:]
        # Without numbers of GPUs, Triton makes one instance on each.
        tuned.instance_group.add(kind=ModelInstanceGroup.KIND_GPU, count=1)
        tuned.parameters["intra_op_thread_count"].string_value = "1"
        tuned.parameters["inter_op_thread_count"].string_value = "1"
    return tuned


def engine_sequences(repository: Path) -> int | None:
    """Sequences that the exported judge's engine answers at the same time; None if it chooses itself."""
    engine = repository / "phi3" / "1" / "model.json"
    sequences = json.loads(engine.read_text("utf-8")).get("max_num_seqs") if engine.exists() else None
    return None if sequences is None else int(sequences)


def write_local_configs(repository: Path, tune: Callable[[ModelConfig], ModelConfig]) -> None:
    """Write `configs/local.pbtxt` for each model of `repository` that `tune` changes; removes older ones."""
    for path in sorted(repository.glob("*/config.pbtxt")):
        config = read_config(path)
        named = ModelConfig()
        named.CopyFrom(config)
        named.name = path.parent.name
        tuned = tune(named)
        tuned.name = config.name
        local = path.parent / "configs" / f"{CONFIG_NAME}.pbtxt"
        local.unlink(missing_ok=True)
        if tuned != config:
            local.parent.mkdir(exist_ok=True)
            local.write_text(text_format.MessageToString(tuned), "utf-8")


def _use_own_vllm_backend(config: ModelConfig) -> None:
    config.parameters["EXECUTION_ENV_PATH"].string_value = str(JUDGE_ENVIRONMENT)
    add_vllm_tensors(config)
