"""Configs adapted to a host."""

import shutil
from functools import partial
from pathlib import Path

import pytest
from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

from launcher.host.devices import available_cores
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.host.tuning import (
    PYTHON_STEPS,
    engine_sequences,
    tune_for_cpu,
    tune_for_gpu,
    write_local_configs,
)
from launcher.host.vllm_tensors import add_vllm_tensors
from launcher.repository.config import read_config
from launcher.repository.contract import MODEL_REPOSITORY


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    shutil.copytree(
        MODEL_REPOSITORY, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.onnx", "local.pbtxt")
    )
    return tmp_path


def test_an_encoder_gets_one_single_threaded_instance_a_core(repository: Path) -> None:
    write_local_configs(repository, partial(tune_for_cpu, instances=5))
    for name in ("rejection", "aegis"):
        local = read_config(repository / name / "configs" / "local.pbtxt")
        tracked = read_config(repository / name / "config.pbtxt")
        (group,) = local.instance_group
        assert (group.kind, group.count) == (ModelInstanceGroup.KIND_CPU, 5)
        assert local.parameters["intra_op_thread_count"].string_value == "1"
        assert not local.HasField("dynamic_batching")
        assert (local.input, local.output) == (tracked.input, tracked.output)
        assert list(local.model_warmup) == [tracked.model_warmup[0]]


def test_other_models_keep_their_config_and_lose_a_stale_one(repository: Path) -> None:
    stale = repository / "verdict" / "configs" / "local.pbtxt"
    stale.parent.mkdir()
    stale.write_text("max_batch_size: 1")
    write_local_configs(repository, partial(tune_for_cpu, instances=2))
    tuned = {path.parent.parent.name for path in repository.glob("*/configs/local.pbtxt")}
    assert tuned == {"tokenizer", "rejection", "aegis", "phi3"}
    tokenizer = read_config(repository / "tokenizer" / "configs" / "local.pbtxt")
    assert tokenizer.parameters["pad_to_multiple_of"].string_value == "1"


def test_the_llm_gets_its_environment_and_the_tensors_of_the_backend(repository: Path) -> None:
    write_local_configs(repository, partial(tune_for_cpu, instances=2))
    local = read_config(repository / "phi3" / "configs" / "local.pbtxt")
    assert local.parameters["EXECUTION_ENV_PATH"].string_value == str(JUDGE_ENVIRONMENT)
    assert [tensor.name for tensor in local.input if not tensor.optional] == ["text_input"]
    assert local.model_transaction_policy.decoupled


def test_tuning_leaves_the_tracked_config_alone() -> None:
    config = read_config(MODEL_REPOSITORY / "aegis" / "config.pbtxt")
    before = config.SerializeToString()
    assert tune_for_cpu(config, instances=2) != config
    assert tune_for_gpu(config, cores=2) != config
    assert config.SerializeToString() == before


def test_a_host_with_gpus_gets_more_processes_of_the_python_steps(repository: Path) -> None:
    write_local_configs(repository, partial(tune_for_gpu, cores=16, judge_calls=256))
    tuned = {path.parent.parent.name for path in repository.glob("*/configs/local.pbtxt")}
    assert tuned == {"tokenizer", "verdict", "rejection", "aegis"}
    for name in tuned:
        expected = read_config(repository / name / "config.pbtxt")
        if name in PYTHON_STEPS:
            expected.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=8)
            if name == "verdict":
                expected.parameters["judge_calls"].string_value = "256"
        else:
            expected.instance_group.add(kind=ModelInstanceGroup.KIND_GPU, count=1)
            expected.parameters["intra_op_thread_count"].string_value = "1"
            expected.parameters["inter_op_thread_count"].string_value = "1"
        assert read_config(repository / name / "configs" / "local.pbtxt") == expected


def test_our_own_backends_on_a_gpu_need_nothing_else_but_the_llms_environment(repository: Path) -> None:
    write_local_configs(repository, partial(tune_for_gpu, cores=16))
    others = {path: path.read_bytes() for path in repository.glob("*/configs/local.pbtxt")}
    write_local_configs(repository, partial(tune_for_gpu, cores=16, own_backends=True))
    expected = read_config(repository / "phi3" / "config.pbtxt")
    expected.parameters["EXECUTION_ENV_PATH"].string_value = str(JUDGE_ENVIRONMENT)
    add_vllm_tensors(expected)
    local = repository / "phi3" / "configs" / "local.pbtxt"
    assert read_config(local) == expected
    local.unlink()
    assert {path: path.read_bytes() for path in repository.glob("*/configs/local.pbtxt")} == others


def test_the_calls_of_the_judge_are_those_of_its_engine(repository: Path) -> None:
    engine = repository / "phi3" / "1" / "model.json"
    engine.unlink(missing_ok=True)
    assert engine_sequences(repository) is None
    engine.parent.mkdir(exist_ok=True)
    engine.write_text('{"dtype": "float32"}')
    assert engine_sequences(repository) is None
    engine.write_text('{"max_num_seqs": 96}')
    assert engine_sequences(repository) == 96
    config = read_config(repository / "verdict" / "config.pbtxt")
    config.name = "verdict"
    assert tune_for_gpu(config, cores=2).parameters["judge_calls"] == config.parameters["judge_calls"]


def test_each_python_step_has_a_process_on_a_single_core(repository: Path) -> None:
    config = read_config(repository / "tokenizer" / "config.pbtxt")
    config.name = "tokenizer"
    assert tune_for_gpu(config, cores=1).instance_group[0].count == 1


def test_this_host_has_a_core() -> None:
    assert available_cores() >= 1
