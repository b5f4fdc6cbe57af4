"""The client's names of models and tensors equal those in the tracked configs."""

import inspect
import json
from typing import get_args

import pytest
from tribunal import Client, Toxicity, contract

from launcher.repository.config import read_config
from launcher.repository.contract import JUDGE_LABELS, MODEL_REPOSITORY, limits
from model_repository.verdict.logic.asking import MODES


@pytest.mark.parametrize(
    ("model", "inputs", "output"),
    [
        (
            contract.MODERATION,
            {contract.TEXT, contract.JUDGE_MODE, contract.EXPLAIN, contract.SPANS},
            contract.VERDICT,
        ),
        (contract.JUDGE, {contract.TEXT, contract.STREAM}, contract.JUDGEMENT),
        (contract.MANIFEST, set(), contract.MANIFEST),
    ],
)
def test_models_and_tensors_have_these_names(model: str, inputs: set[str], output: str) -> None:
    config = read_config(MODEL_REPOSITORY / model / "config.pbtxt")
    assert inputs <= {tensor.name for tensor in config.input}
    assert output in {tensor.name for tensor in config.output}


def test_words_and_limits_are_the_servers() -> None:
    assert get_args(contract.JudgeMode) == MODES
    assert set(get_args(contract.ToxicityLabel)) == set(JUDGE_LABELS)
    schema = json.loads((MODEL_REPOSITORY / "verdict" / "verdict.schema.json").read_text("utf-8"))
    statuses = schema["properties"]["toxicity"]["properties"]["status"]["enum"]
    assert set(get_args(contract.ToxicityStatus)) == set(statuses)
    assert limits().max_batch_size >= contract.MAX_BATCH_SIZE


def test_signatures_and_values_take_these_words_alone() -> None:
    for method in (Client.moderate, Client.moderate_batch):
        assert inspect.signature(method).parameters["judge"].annotation == contract.JudgeMode | None
    assert Toxicity.__annotations__["status"] == contract.ToxicityStatus
    assert Toxicity.__annotations__["label"] == contract.ToxicityLabel | None
