"""The vLLM backend's requirements of a model, and its warm-up."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from launcher.backends.vllm.logic.requirements import is_enabled, read_engine_arguments, require_servable
from launcher.repository.config import read_config
from launcher.repository.contract import MODEL_REPOSITORY
from model_repository.judge_prompt.logic.prompting import sampling_parameters

PHI3 = read_config(MODEL_REPOSITORY / "phi3" / "config.pbtxt")


def config(**changes: Any) -> dict[str, Any]:
    """The tracked config as Triton passes it to the backend."""
    passed = json_format.MessageToDict(PHI3, preserving_proto_field_name=True)
    passed["max_batch_size"] = PHI3.max_batch_size
    return passed | changes


def test_the_tracked_config_is_servable() -> None:
    require_servable(config(), {"model": "weights", "tensor_parallel_size": 2}, "MODEL")
    assert is_enabled(config(), "ENABLE_VLLM_HEALTH_CHECK")
    assert is_enabled(config(), "REPORT_CUSTOM_METRICS")


@pytest.mark.parametrize(
    ("changes", "arguments", "kind", "reason"),
    [
        ({"model_transaction_policy": {"decoupled": False}}, {}, "MODEL", "decoupled"),
        ({"max_batch_size": 4}, {}, "MODEL", "max_batch_size must be 0, not 4"),
        ({}, {"enable_lora": True}, "MODEL", "enable_lora"),
        ({}, {"enable_lora": "True"}, "MODEL", "enable_lora"),
        ({}, {"tensor_parallel_size": 2}, "GPU", "KIND_MODEL"),
        ({}, {"pipeline_parallel_size": 2}, "GPU", "KIND_MODEL"),
    ],
)
def test_configs_that_nvidias_backend_would_not_load_are_refused(
    changes: dict[str, Any], arguments: dict[str, Any], kind: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        require_servable(config(**changes), arguments, kind)


def test_engine_arguments_are_required(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.json.* is missing"):
        read_engine_arguments(tmp_path)
    (tmp_path / "model.json").write_text('{"model": "weights"}')
    assert read_engine_arguments(tmp_path) == {"model": "weights"}


@pytest.mark.parametrize(
    ("value", "enabled"), [("true", True), ("True", True), ("TRUE", True), ("1", False), ("yes", False)]
)
def test_a_parameter_is_enabled_by_the_word_true(value: str, enabled: bool) -> None:
    assert is_enabled({"parameters": {"P": {"string_value": value}}}, "P") is enabled
    assert not is_enabled({"parameters": {}}, "P")


def test_the_warm_up_asks_as_the_judge_does() -> None:
    (sample,) = PHI3.model_warmup
    strings = {}
    for name, tensor in sample.inputs.items():
        content = (MODEL_REPOSITORY / "phi3" / "warmup" / tensor.input_data_file).read_bytes()
        (length,) = struct.unpack_from("<I", content)
        assert len(content) == 4 + length
        strings[name] = content[4:].decode("utf-8")
    assert strings.keys() == {"text_input", "sampling_parameters"}
    assert json.loads(strings["sampling_parameters"]) == sampling_parameters(max_tokens=2, explain=True)
