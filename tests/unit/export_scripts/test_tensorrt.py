"""The commands that build TensorRT engines, the engines' shapes, and the configs that serve them."""

import itertools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_scripts import tensorrt
from export_scripts.hub_models import ENCODERS
from export_scripts.tensorrt import (
    CONFIG,
    READABLE,
    Profile,
    engine_models,
    profiles,
    require_readable,
    trtexec_command,
)
from launcher.repository.config import read_config
from launcher.repository.contract import CHECKOUT, MODEL_REPOSITORY, limits
from launcher.repository.manifest import MANIFEST
from model_repository.tokenizer.logic.windows import FORMS, TooManyWindows, WindowLimits, pad_batch

# trtexec's build options in TensorRT 10.13 and 11, from samples/common/sampleOptions.cpp of
# https://github.com/NVIDIA/TensorRT at the tags v10.13.0, v11.0 and v11.1. Version 11 has no --fp16, --bf16
# or --best.
TRTEXEC_OPTIONS = {
    "--builderOptimizationLevel",
    "--device",
    "--maxShapes",
    "--memPoolSize",
    "--minShapes",
    "--onnx",
    "--optShapes",
    "--profile",
    "--saveEngine",
    "--skipInference",
    "--stronglyTyped",
    "--timingCacheFile",
    "--verbose",
}
ATTENTION_HEADS = 12
# "tensor volume exceeds (2^31)-1": https://github.com/NVIDIA/TensorRT/issues/4408, with TensorRT 10.9.
LARGEST_TENSOR = 2**31 - 1

TOKENIZER = read_config(MODEL_REPOSITORY / "tokenizer" / CONFIG)
PARAMETERS = {
    name: int(value.string_value)
    for name, value in TOKENIZER.parameters.items()
    if value.string_value.isdecimal()
}
PROFILES = profiles(MODEL_REPOSITORY)
MOST_WINDOWS = FORMS * (PARAMETERS["max_windows"] + PARAMETERS["max_sentences"])
WINDOW_LIMITS = WindowLimits(PARAMETERS["max_request_windows"], PARAMETERS["max_padded_windows"])


def exported(repository: Path, **changed: object) -> Path:
    """A repository with the checkout's configs, and a manifest of models that TensorRT can read."""
    for path in MODEL_REPOSITORY.glob(f"*/{CONFIG}"):
        copy = repository / path.relative_to(MODEL_REPOSITORY)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    manifest = repository / MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"models": {name: {**READABLE, **changed} for name in ENCODERS}}))
    return repository


def holding(shape: tuple[int, ...]) -> list[Profile]:
    """The profiles that contain a shape, compared axis by axis like TensorRT."""
    return [
        profile
        for profile in PROFILES
        if all(
            least <= axis <= largest
            for least, axis, largest in zip(profile.least, shape, profile.largest, strict=True)
        )
    ]


def test_the_command_has_these_options_and_trtexec_10_13_and_11_take_them() -> None:
    command = trtexec_command("trtexec", Path("model.onnx"), Path("model.plan"), PROFILES[:2])
    assert command == [
        "trtexec",
        "--onnx=model.onnx",
        "--saveEngine=model.plan",
        "--stronglyTyped",
        "--skipInference",
        "--profile=0",
        "--minShapes=input_ids:1x1x1,attention_mask:1x1x1",
        "--optShapes=input_ids:16x1x64,attention_mask:16x1x64",
        "--maxShapes=input_ids:64x1x512,attention_mask:64x1x512",
        "--profile=1",
        "--minShapes=input_ids:1x2x1,attention_mask:1x2x1",
        "--optShapes=input_ids:1x4x512,attention_mask:1x4x512",
        "--maxShapes=input_ids:64x4x512,attention_mask:64x4x512",
    ]
    assert {argument.partition("=")[0] for argument in command[1:]} <= TRTEXEC_OPTIONS


def test_every_shape_that_the_tokenizer_lets_pass_has_one_profile() -> None:
    passed = 0
    for texts, windows in itertools.product(
        range(1, TOKENIZER.max_batch_size + 1), range(1, MOST_WINDOWS + 1)
    ):
        try:
            WINDOW_LIMITS.check_padding(texts, windows)
        except TooManyWindows:
            continue
        passed += 1
        every_length = range(PARAMETERS["pad_to_multiple_of"], 513, PARAMETERS["pad_to_multiple_of"])
        for tokens in every_length:
            assert len(holding((texts, windows, tokens))) == 1, (texts, windows, tokens)
    assert passed == 64 * 4 + 32 * 4 + 16 * 8 + 8 * 16 + 4 * 32 + 2 * 64


@given(st.lists(st.integers(1, MOST_WINDOWS), min_size=1, max_size=64), st.integers(1, 512))
def test_a_padded_batch_has_a_profile_or_is_refused(windows: list[int], tokens: int) -> None:
    rows = [[[5] * tokens] * count for count in windows]
    try:
        WINDOW_LIMITS.check_padding(len(rows), max(windows))
    except TooManyWindows:
        return
    ids, mask = pad_batch(rows, pad_id=1, pad_to_multiple_of=PARAMETERS["pad_to_multiple_of"])
    assert ids.shape == mask.shape
    assert len(holding(ids.shape)) == 1


def test_a_clients_batch_passes_unless_a_text_of_it_is_longer_than_8_windows() -> None:
    WINDOW_LIMITS.check_padding(32, 8)
    with pytest.raises(TooManyWindows, match=r"32 texts of up to 9 windows count as 32 x 16 = 512 windows"):
        WINDOW_LIMITS.check_padding(32, 9)


def test_profiles_grow_and_stay_below_the_largest_tensor() -> None:
    for profile in PROFILES:
        for least, best, largest in zip(profile.least, profile.best, profile.largest, strict=True):
            assert least <= best <= largest
        texts, windows, tokens = profile.largest
        assert texts * windows * ATTENTION_HEADS * tokens * tokens <= LARGEST_TENSOR


def test_the_tokenizer_for_engines_differs_only_in_padding_and_sentences() -> None:
    tracked = read_config(MODEL_REPOSITORY / "tokenizer" / "config.pbtxt")
    selected = read_config(MODEL_REPOSITORY / "tokenizer" / CONFIG)
    assert selected.parameters.keys() == tracked.parameters.keys()
    for config in (tracked, selected):
        for name in ("pad_to_multiple_of", "max_padded_windows", "max_sentences"):
            del config.parameters[name]
    assert selected == tracked
    assert limits().max_tokens % PARAMETERS["pad_to_multiple_of"] == 0


@pytest.mark.parametrize("name", ENCODERS)
def test_the_config_of_an_engine_keeps_the_contract(name: str) -> None:
    tracked = read_config(MODEL_REPOSITORY / name / "config.pbtxt")
    selected = read_config(MODEL_REPOSITORY / name / CONFIG)
    assert (selected.input, selected.output) == (tracked.input, tracked.output)
    assert selected.max_batch_size == tracked.max_batch_size
    (group,) = selected.instance_group
    assert list(group.profile) == [str(index) for index in range(len(PROFILES))]
    assert selected.parameters["execution_context_allocation_strategy"].string_value == "ON_PROFILE_CHANGE"


@pytest.mark.parametrize("name", ENCODERS)
def test_requests_to_an_engine_are_not_joined(name: str) -> None:
    # Two requests of 8 texts of 32 windows would join to 16 of 32, which no profile contains.
    assert not holding((32, 32, 512))
    batching = read_config(MODEL_REPOSITORY / name / CONFIG).dynamic_batching
    assert list(batching.preferred_batch_size) == [1]
    assert batching.max_queue_delay_microseconds == 0


@pytest.mark.parametrize(
    "changed", [{"fused": True}, {"precision": "fp32"}, {"graph": "loop"}, {"graph": None}]
)
def test_an_export_that_tensorrt_cannot_read_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    assert engine_models(exported(tmp_path / "good")) == sorted(ENCODERS)
    require_readable(tmp_path / "good")
    with pytest.raises(ValueError, match="has no aegis in fp16 with a padded graph and no fusion"):
        require_readable(exported(tmp_path / "bad", **changed))


def test_the_command_needs_only_packages_of_the_image(tmp_path: Path) -> None:
    image = tmp_path / "tribunal"
    image.mkdir()
    for package in ("launcher", "export_scripts"):
        (image / package).symlink_to(CHECKOUT / package)
    code = (
        "import sys, runpy; sys.argv[1:] = ['--repository', sys.argv[1], '--print']\n"
        "try: runpy.run_module('export_scripts.tensorrt', run_name='__main__')\n"
        "except SystemExit as end: status = end.code\n"
        "print(status, {'torch', 'transformers', 'onnx', 'onnxruntime', 'optimum'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(exported(tmp_path / "models"))]
    answer = subprocess.run(command, cwd=image, capture_output=True, text=True, check=True)
    *commands, status = answer.stdout.splitlines()
    assert [shlex.split(line)[0] for line in commands] == ["trtexec"] * len(ENCODERS)
    assert status == "0 set()"


def test_the_documented_container_can_run_this_and_write_the_engines() -> None:
    (block,) = re.findall(r"(?m)^    docker run(?:.*\\\n)*.*$", tensorrt.__doc__ or "")
    words = shlex.split(block.replace("\\\n", " "))
    image = words.index("tribunal:gpu")
    options, arguments = words[:image], words[image + 1 :]
    mount = options[options.index("-v") + 1]
    assert mount == "$PWD/models:/models"
    assert options.count("-v") == 1
    assert options[options.index("--user") + 1] == "$(id -u):$(id -g)"
    dockerfile = (CHECKOUT / "docker" / "Dockerfile").read_text("utf-8")
    assert f'ENTRYPOINT ["{options[options.index("--entrypoint") + 1]}"' in dockerfile
    for line in ("COPY launcher /tribunal/launcher", "COPY export_scripts /tribunal/export_scripts"):
        assert line in dockerfile
    assert "WORKDIR /tribunal" in dockerfile
    assert arguments == ["python3", "-m", "export_scripts.tensorrt", "--repository", "/models"]
