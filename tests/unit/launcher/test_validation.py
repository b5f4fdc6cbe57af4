"""Validation of configs against graphs, with the rules of NVIDIA's ONNX Runtime backend."""

from typing import Any

import pytest

from launcher.backends.onnxruntime.logic.validation import GraphTensor, validate

INPUTS = [
    GraphTensor("input_ids", "tensor(int64)", (-1, -1, -1)),
    GraphTensor("attention_mask", "tensor(int64)", (-1, -1, -1)),
]
OUTPUTS = [GraphTensor("logits", "tensor(float)", (-1, -1, 2))]


def config(**changed: Any) -> dict[str, Any]:
    def tensor(name: str, data_type: str, *dims: int) -> dict[str, Any]:
        # Triton writes 64-bit numbers as strings.
        return {"name": name, "data_type": data_type, "dims": [str(dim) for dim in dims]}

    return {
        "max_batch_size": 64,
        "input": [tensor("input_ids", "TYPE_INT64", -1, -1), tensor("attention_mask", "TYPE_INT64", -1, -1)],
        "output": [tensor("logits", "TYPE_FP32", -1, 2)],
        **changed,
    }


def output(**changed: Any) -> dict[str, Any]:
    return {"output": [{"name": "logits", "data_type": "TYPE_FP32", "dims": [-1, 2], **changed}]}


def test_a_config_that_fits_passes() -> None:
    validate(config(), INPUTS, OUTPUTS)
    validate(config(), INPUTS, [*OUTPUTS, GraphTensor("hidden", "tensor(float)", (-1,))])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (output(dims=[-1, -1]), r"the graph has shape \[-1, -1, 2\], the config \[-1, -1, -1\]"),
        (output(dims=[-1, 3]), r"the graph has shape"),
        (output(dims=[2]), r"the graph has shape"),
        (output(name="scores"), "unexpected output 'scores'; the graph has logits"),
        (output(data_type="TYPE_FP16"), r"the config says TYPE_FP16, the graph tensor\(float\)"),
        (output(reshape={"shape": [2]}), "reshape is not supported"),
        ({"output": []}, "the config has no output"),
        ({"input": config()["input"][:1]}, "the config has 1 inputs and the graph 2"),
    ],
)
def test_what_the_cpp_backend_refuses_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        validate(config(**changed), INPUTS, OUTPUTS)


def test_a_fixed_axis_of_an_input_needs_its_number() -> None:
    fixed = [GraphTensor("input_ids", "tensor(int64)", (-1, -1, 512)), INPUTS[1]]
    with pytest.raises(ValueError, match=r"'input_ids': the graph has shape \[-1, -1, 512\]"):
        validate(config(), fixed, OUTPUTS)


def test_a_free_axis_of_an_output_must_be_free_in_the_config() -> None:
    free = [GraphTensor("logits", "tensor(float)", (-1, -1, -1))]
    validate(config(**output(dims=[-1, -1])), INPUTS, free)
    with pytest.raises(ValueError, match=r"the graph has shape \[-1, -1, -1\], the config \[-1, -1, 2\]"):
        validate(config(), INPUTS, free)


def test_a_batching_model_leaves_its_first_axis_free() -> None:
    with pytest.raises(ValueError, match="'logits': the first axis of a batching model must not be fixed"):
        validate(config(), INPUTS, [GraphTensor("logits", "tensor(float)", (1, -1, 2))])
