"""Constants that several parts repeat, because they run separately, are equal."""

import json
from typing import get_args

import tribunal.contract
from tribunal.gateway.settings import MAX_BATCH_TEXTS
from tritonclient.grpc.model_config_pb2 import ModelConfig

from export_scripts import tensorrt
from export_scripts.encoders import OPSET
from export_scripts.hub_models import ENCODERS, HUB_MODELS
from launcher.host.files import HOST_FILES
from launcher.repository import contract
from launcher.repository.config import read_config
from launcher.repository.contract import (
    CHECKOUT,
    JUDGE_LABELS,
    JUDGE_MODELS,
    MODEL_REPOSITORY,
    category_labels,
    is_generated,
    limits,
)
from model_repository.tokenizer.logic import windows
from model_repository.verdict.logic import answer, asking
from perf.growth import processor_limit

SCHEMA = json.loads((MODEL_REPOSITORY / "verdict" / "verdict.schema.json").read_text("utf-8"))
CONFIGS: dict[str, ModelConfig] = {
    path.parent.name: read_config(path) for path in MODEL_REPOSITORY.glob("*/config.pbtxt")
}


def test_the_statuses_of_the_judges_answer() -> None:
    statuses = set(get_args(tribunal.contract.ToxicityStatus))
    assert statuses == set(SCHEMA["properties"]["toxicity"]["properties"]["status"]["enum"])
    assert statuses == set(answer.STATUSES)


def test_the_modes_of_the_judge() -> None:
    modes = set(get_args(tribunal.contract.JudgeMode))
    assert modes == set(asking.MODES)
    assert CONFIGS["verdict"].parameters["default_mode"].string_value in modes


def test_the_labels_of_the_judge() -> None:
    labels = SCHEMA["properties"]["toxicity"]["properties"]["label"]["enum"]
    assert set(answer.LABELS) == set(JUDGE_LABELS) == {label for label in labels if label}


def test_the_names_of_the_models() -> None:
    assert set(ENCODERS) < set(CONFIGS)
    assert set(contract.ENCODERS) == set(ENCODERS)
    assert set(HUB_MODELS) < set(CONFIGS)
    assert set(CONFIGS) > JUDGE_MODELS
    names = {tribunal.contract.MODERATION, tribunal.contract.JUDGE, tribunal.contract.MANIFEST}
    assert names < set(CONFIGS)


def test_the_limits() -> None:
    batching = {config.max_batch_size for config in CONFIGS.values() if config.max_batch_size}
    assert batching == {limits().max_batch_size}
    assert limits().max_batch_size >= tribunal.contract.MAX_BATCH_SIZE
    assert limits().max_batch_size == MAX_BATCH_TEXTS


def test_the_categories_are_counted_in_the_labels_file_alone() -> None:
    assert len(category_labels()) == len(set(category_labels()))
    for config in CONFIGS.values():
        for tensor in (*config.input, *config.output):
            assert len(category_labels()) not in tensor.dims, (config.backend, tensor.name)
    assert ENCODERS["aegis"].labels == category_labels()


def test_the_opset_of_the_processors_limit_is_that_of_the_exports() -> None:
    assert processor_limit.OPSET == OPSET


def test_the_forms_of_a_text_are_those_that_engines_have_profiles_for() -> None:
    assert tensorrt.FORMS == windows.FORMS


def test_what_a_host_gets_is_generated() -> None:
    for name in HOST_FILES:
        folder = "configs" if name.endswith(".pbtxt") else "1"
        assert is_generated((MODEL_REPOSITORY / "aegis" / folder / name).relative_to(MODEL_REPOSITORY))
    for dockerignore in (CHECKOUT / "docker").glob("*.dockerignore"):
        lines = dockerignore.read_text("utf-8").splitlines()
        takes_repository = "*" not in lines or "!model_repository" in lines
        assert not takes_repository or "**/local.*" in lines
