"""The launcher in NVIDIA's image, with and without a GPU."""

from pathlib import Path

import pytest
from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

from launcher import StartError
from launcher.host import devices
from launcher.process import nvidia_image
from launcher.process.find import find_installation
from launcher.process.nvidia_image import NvidiaImage, find_image
from launcher.repository.config import read_config


@pytest.fixture
def image(tmp_path: Path) -> NvidiaImage:
    root = tmp_path / "tritonserver"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tritonserver").touch()
    (root / "backends" / "vllm").mkdir(parents=True)
    found = find_image(root)
    assert found is not None
    return found


def test_a_folder_is_taken_where_it_holds_the_binary(image: NvidiaImage, tmp_path: Path) -> None:
    assert find_installation(image.root) == image
    assert image.backend_directory(tmp_path) == image.root / "backends"
    assert find_image(tmp_path) is None
    with pytest.raises(StartError, match="has no bin/tritonserver: check --triton"):
        find_installation(tmp_path)


def test_a_gpu_is_detected_by_the_driver(tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    assert not devices.has_gpu(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert devices.has_gpu(tmp_path)


def test_the_judge_needs_the_backend_and_a_gpu(image: NvidiaImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia_image, "has_gpu", lambda: True)
    image.require_judge()
    monkeypatch.setattr(nvidia_image, "has_gpu", lambda: False)
    with pytest.raises(StartError, match=r"needs a GPU.*--gpus all.*--without-judge"):
        image.require_judge()
    (image.root / "backends" / "vllm").rmdir()
    with pytest.raises(StartError, match=r"no vLLM backend.*--without-judge"):
        image.require_judge()


def test_configs_are_fitted_to_a_gpu_or_to_the_cpu(
    image: NvidiaImage, tracked_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia_image, "has_gpu", lambda: True)
    assert image.fit_to_host(tracked_copy, 3) == "local"
    local = read_config(tracked_copy / "aegis" / "configs" / "local.pbtxt")
    (group,) = local.instance_group
    assert (group.kind, len(local.model_warmup)) == (ModelInstanceGroup.KIND_GPU, 5)
    local = read_config(tracked_copy / "tokenizer" / "configs" / "local.pbtxt")
    assert local.instance_group[0].count == max(1, devices.available_cores() // 2)
    monkeypatch.setattr(nvidia_image, "has_gpu", lambda: False)
    assert image.fit_to_host(tracked_copy, 3) == "local"
    local = read_config(tracked_copy / "aegis" / "configs" / "local.pbtxt")
    assert local.instance_group[0].count == 3
    assert local.parameters["intra_op_thread_count"].string_value == "1"
    # The packed weights belong to another release of ONNX Runtime.
    assert not local.default_model_filename
    assert not (tracked_copy / "phi3" / "configs" / "local.pbtxt").exists()
