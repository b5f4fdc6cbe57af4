"""The commands that build TensorRT engines, and the configs that select them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from export_scripts.hub_models import ENCODERS
from export_scripts.tensorrt import PROFILES, require_unfused, trtexec_command
from launcher.repository.config import read_config
from launcher.repository.contract import CHECKOUT, MODEL_REPOSITORY
from launcher.repository.manifest import MANIFEST


def filled(repository: Path, **changed: object) -> Path:
    model = {"fused": False, "precision": "fp32", **changed}
    path = repository / MANIFEST
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"models": dict.fromkeys(ENCODERS, model)}))
    return repository


def test_the_command_names_every_shape_of_every_profile() -> None:
    command = trtexec_command("trtexec", Path("model.onnx"), Path("model.plan"), Path("cache"))
    assert command[:4] == [
        "trtexec",
        "--onnx=model.onnx",
        "--saveEngine=model.plan",
        "--timingCacheFile=cache",
    ]
    assert "--fp16" in command
    assert "--maxShapes=input_ids:64x1x512,attention_mask:64x1x512" in command
    assert [one for one in command if one.startswith("--profile=")] == ["--profile=0", "--profile=1"]


def test_profiles_grow_and_cover_what_the_configs_allow() -> None:
    for profile in PROFILES:
        for least, best, largest in zip(profile.least, profile.best, profile.largest, strict=True):
            assert least <= best <= largest
    tokenizer = read_config(MODEL_REPOSITORY / "tokenizer" / "config.pbtxt")
    limits = {name: int(value.string_value) for name, value in tokenizer.parameters.items()}
    assert max(profile.largest[0] for profile in PROFILES) == tokenizer.max_batch_size
    assert max(profile.largest[1] for profile in PROFILES) == limits["max_windows"]
    assert {profile.largest[2] for profile in PROFILES} == {limits["max_tokens"]}


@pytest.mark.parametrize("config", ["tensorrt", "onnxruntime_tensorrt"])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_gpu_config_keeps_the_contract(name: str, config: str) -> None:
    tracked = read_config(MODEL_REPOSITORY / name / "config.pbtxt")
    selected = read_config(MODEL_REPOSITORY / name / "configs" / f"{config}.pbtxt")
    assert (selected.input, selected.output) == (tracked.input, tracked.output)
    assert selected.max_batch_size == tracked.max_batch_size
    assert selected.HasField("dynamic_batching")
    if config == "tensorrt":
        assert list(selected.instance_group[0].profile) == [str(index) for index in range(len(PROFILES))]


@pytest.mark.parametrize("changed", [{"fused": True}, {"precision": "int8"}])
def test_an_export_that_tensorrt_cannot_read_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    require_unfused(filled(tmp_path / "good"))
    with pytest.raises(ValueError, match="no unfused fp32 rejection"):
        require_unfused(filled(tmp_path / "bad", **changed))


def test_the_commands_need_no_package_of_the_exporter() -> None:
    code = (
        "import sys, export_scripts.tensorrt; "
        "print({'torch', 'transformers', 'onnx', 'onnxruntime', 'optimum'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, check=True)
    assert answer.stdout == b"set()\n"
