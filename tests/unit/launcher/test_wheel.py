"""The wheel's Triton on a host with a GPU and on one without."""

import json
from pathlib import Path

import onnxruntime
import pytest
from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

from launcher import StartError
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.process import wheel
from launcher.process.wheel import VLLM_ENVIRONMENT, find_wheel
from launcher.repository.config import read_config
from launcher.repository.manifest import write_manifest

CPU_ONLY = ["CPUExecutionProvider"]
WITH_CUDA = ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture
def packed(tracked_copy: Path) -> Path:
    """A repository exported with --precision fp16."""
    write_manifest(tracked_copy, {"models": {"aegis": {"graph": "packed", "files": {}}}})
    engine = tracked_copy / "phi3" / "1" / "model.json"
    engine.parent.mkdir(exist_ok=True)
    engine.write_text(json.dumps({"max_num_seqs": 256}))
    return tracked_copy


def set_host(monkeypatch: pytest.MonkeyPatch, *, gpu: bool, providers: list[str]) -> None:
    monkeypatch.setattr(wheel, "has_gpu", lambda: gpu)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)


def test_a_gpu_serves_the_packed_graphs(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_host(monkeypatch, gpu=True, providers=WITH_CUDA)
    assert find_wheel().fit_to_host(packed, 3) == "local"
    encoder = read_config(packed / "aegis" / "configs" / "local.pbtxt")
    assert [(group.kind, group.count) for group in encoder.instance_group] == [
        (ModelInstanceGroup.KIND_GPU, 1)
    ]
    # The weights are packed only for a CPU.
    assert not encoder.default_model_filename
    verdict = read_config(packed / "verdict" / "configs" / "local.pbtxt")
    assert verdict.parameters["judge_calls"].string_value == "256"
    llm = read_config(packed / "phi3" / "configs" / "local.pbtxt")
    assert llm.parameters["EXECUTION_ENV_PATH"].string_value == str(JUDGE_ENVIRONMENT)


@pytest.mark.parametrize(("gpu", "providers"), [(True, CPU_ONLY), (False, WITH_CUDA), (False, CPU_ONLY)])
def test_packed_graphs_are_refused_without_a_gpu_or_its_packages(
    gpu: bool, providers: list[str], packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_host(monkeypatch, gpu=gpu, providers=providers)
    with pytest.raises(StartError, match=r"aegis: .*only on a GPU.*fp32 or int8.*make setup GPU=1"):
        find_wheel().fit_to_host(packed, 3)


def test_a_gpu_without_its_packages_serves_on_the_cpu(
    tracked_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_host(monkeypatch, gpu=True, providers=CPU_ONLY)
    assert find_wheel().fit_to_host(tracked_copy, 3) == "local"
    encoder = read_config(tracked_copy / "aegis" / "configs" / "local.pbtxt")
    assert [(group.kind, group.count) for group in encoder.instance_group] == [
        (ModelInstanceGroup.KIND_CPU, 3)
    ]


def test_only_vllm_on_a_cpu_gets_settings_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpu in (False, True):
        set_host(monkeypatch, gpu=gpu, providers=WITH_CUDA)
        assert (find_wheel().environment({}).keys() >= VLLM_ENVIRONMENT.keys()) is not gpu
