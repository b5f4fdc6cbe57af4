"""Consistency of the tracked configs, without a server."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import tribunal.contract
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelEnsembling

from export_scripts.hub_models import HubModel
from launcher.host.tuning import tune_for_cpu
from launcher.repository.config import read_config
from launcher.repository.contract import MODEL_REPOSITORY, category_labels, limits

# The vLLM backend adds its tensors to the config of phi3; here tuning does it.
CONFIGS = {
    path.parent.name: tune_for_cpu(config, instances=2)
    if (config := read_config(path)).backend == "vllm"
    else config
    for path in sorted(MODEL_REPOSITORY.glob("*/config.pbtxt"))
}
MODERATION = CONFIGS["moderation"]
ENSEMBLES = [config for config in CONFIGS.values() if config.platform == "ensemble"]
STEPS = [
    pytest.param(ensemble, step, id=f"{name}-{step.model_name}")
    for name, ensemble in CONFIGS.items()
    for step in ensemble.ensemble_scheduling.step
]

Types = dict[str, tuple[str, tuple[int, ...]]]


def types(tensors: Iterable[Any]) -> Types:
    return {tensor.name: (DataType.Name(tensor.data_type), tuple(tensor.dims)) for tensor in tensors}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_has_what_its_backend_needs(name: str) -> None:
    config: ModelConfig = CONFIGS[name]
    version = MODEL_REPOSITORY / name / "1"
    assert config.backend or config.platform == "ensemble"
    if config.backend == "python":
        assert (version / "model.py").exists()
    if config.platform == "ensemble":
        assert version.is_dir()


@pytest.mark.parametrize(("ensemble", "step"), STEPS)
def test_a_step_feeds_every_input_and_names_real_outputs(
    ensemble: ModelConfig, step: ModelEnsembling.Step
) -> None:
    config = CONFIGS[step.model_name]
    required = {tensor.name for tensor in config.input if not tensor.optional}
    assert required <= set(step.input_map) <= {tensor.name for tensor in config.input}
    assert set(step.output_map) <= {tensor.name for tensor in config.output}
    assert config.max_batch_size == ensemble.max_batch_size


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_every_tensor_of_an_ensemble_has_one_producer_of_its_type(ensemble: ModelConfig) -> None:
    produced = types(ensemble.input)
    for step in ensemble.ensemble_scheduling.step:
        outputs = types(CONFIGS[step.model_name].output)
        for name, tensor in step.output_map.items():
            assert tensor not in produced
            produced[tensor] = outputs[name]
    for step in ensemble.ensemble_scheduling.step:
        inputs = types(CONFIGS[step.model_name].input)
        for name, tensor in step.input_map.items():
            assert produced[tensor] == inputs[name], (step.model_name, name)
    for name, kind in types(ensemble.output).items():
        assert produced[name] == kind


def test_the_contract_of_the_ensemble() -> None:
    assert MODERATION.max_batch_size >= 32
    assert types(MODERATION.input) == {
        "text": ("TYPE_STRING", (1,)),
        "judge": ("TYPE_STRING", (1,)),
        "explain": ("TYPE_BOOL", (1,)),
        "spans": ("TYPE_BOOL", (1,)),
    }
    assert [tensor.name for tensor in MODERATION.input if tensor.optional] == ["judge", "explain", "spans"]
    assert types(MODERATION.output) == {
        "rejection_score": ("TYPE_FP32", (1,)),
        "category_scores": ("TYPE_FP32", (-1,)),
        "toxicity_score": ("TYPE_FP32", (1,)),
        "flagged": ("TYPE_BOOL", (1,)),
        "verdict": ("TYPE_STRING", (1,)),
    }


def test_any_of_the_outputs_can_be_asked_for_because_all_come_from_the_last_step() -> None:
    last = MODERATION.ensemble_scheduling.step[-1]
    assert set(last.output_map.values()) == set(types(MODERATION.output))


def test_an_encoder_leaves_the_number_of_its_labels_to_the_labels_file(encoder: HubModel) -> None:
    assert types(CONFIGS[encoder.name].output) == {"logits": ("TYPE_FP32", (-1, -1))}
    assert types(CONFIGS["verdict"].input)[f"{encoder.name}_logits"] == ("TYPE_FP32", (-1, -1))


def test_the_labels_are_those_of_the_card_and_of_the_tensor() -> None:
    labels = category_labels()
    assert len(labels) == len(set(labels)) == 14
    assert labels[0] == "Controlled/Regulated Substances"
    assert labels[-1] == "Violence"
    (scores,) = [tensor for tensor in CONFIGS["verdict"].output if tensor.name == "category_scores"]
    assert (MODEL_REPOSITORY / "verdict" / scores.label_filename).exists()


def test_one_request_is_bounded_by_its_windows_and_not_by_its_padding() -> None:
    parameters = CONFIGS["tokenizer"].parameters

    def number(name: str) -> int:
        return int(parameters[name].string_value)

    most = limits()
    assert number("max_request_windows") == tribunal.contract.MAX_BATCH_SIZE * most.max_windows
    assert number("max_padded_windows") == most.max_batch_size * most.max_windows
    assert most.max_tokens % number("pad_to_multiple_of") == 0


def test_an_encoder_takes_bounded_memory_and_gives_it_back(encoder: HubModel) -> None:
    config = CONFIGS[encoder.name]
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "cuda"
    assert dict(accelerator.parameters) == {
        "gpu_mem_limit": str(4 * 2**30),
        "arena_extend_strategy": "kSameAsRequested",
    }
    assert config.parameters["enable_mem_arena"].string_value == "false"


def test_an_encoder_is_warmed_up_with_shapes_of_requests(encoder: HubModel) -> None:
    step = int(CONFIGS["tokenizer"].parameters["pad_to_multiple_of"].string_value)
    shapes = set()
    for warmup in CONFIGS[encoder.name].model_warmup:
        ids, mask = warmup.inputs["input_ids"], warmup.inputs["attention_mask"]
        assert list(ids.dims) == list(mask.dims)
        windows, tokens = ids.dims
        assert tokens == step
        file = MODEL_REPOSITORY / encoder.name / "warmup" / mask.input_data_file
        shown = np.fromfile(file, np.int32)
        assert len(shown) == windows * tokens
        assert set(shown.tolist()) <= {0, 1}
        shapes.add((warmup.batch_size, windows, int(shown.sum())))
    batch, windows = limits().max_batch_size, limits().max_windows
    assert shapes == {(1, 1, 8), (batch, 1, 8), (1, 1, step), (batch, 1, step), (1, windows, windows * step)}
