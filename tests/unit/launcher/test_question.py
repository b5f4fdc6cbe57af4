"""Requests to the vLLM backend: parsing and refusals."""

from typing import Any

import numpy as np
import pytest

from launcher.backends.vllm.logic.question import RETURNED, read_question, read_sampling_parameters


def tensors(**values: Any) -> dict[str, Any]:
    return {
        name: np.array([value], dtype=np.bool_ if isinstance(value, bool) else np.object_)
        for name, value in ({"text_input": b"Once"} | values).items()
    }


@pytest.mark.parametrize(
    ("asked", "stream", "exclude"),
    [
        ({}, False, False),
        ({"exclude_input_in_output": True}, False, True),
        ({"stream": True}, True, True),
        ({"stream": True, "exclude_input_in_output": True}, True, True),
        ({"stream": False}, False, False),
    ],
)
def test_only_a_stream_leaves_the_input_out_by_itself(
    asked: dict[str, Any], stream: bool, exclude: bool
) -> None:
    question = read_question(tensors(**asked), {})
    assert (question.text_input, question.stream, question.exclude_input_in_output) == (
        "Once",
        stream,
        exclude,
    )


def test_each_output_is_asked_for_by_its_own_flag() -> None:
    assert read_question(tensors(), {}).returned == frozenset()
    for name in RETURNED:
        assert read_question(tensors(**{f"return_{name}": True}), {}).returned == {name}
        assert read_question(tensors(**{f"return_{name}": False}), {}).returned == frozenset()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"stream": True, "exclude_input_in_output": False}, "cannot repeat the input"),
        ({"image": b"aGk="}, "image"),
        ({"embedding_request": b"{}"}, "embedding_request"),
        ({"text_input": b"\xff"}, "utf-8"),
    ],
)
def test_what_nvidias_backend_fails_on_is_refused(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_question(tensors(**asked), {})


def test_sampling_parameters_come_from_the_tensor_or_else_from_the_request() -> None:
    inputs = tensors(sampling_parameters=b'{"max_tokens": 1}')
    assert read_sampling_parameters(inputs, '{"seed": 2}') == {"max_tokens": 1}
    assert read_sampling_parameters(tensors(), '{"seed": 2}') == {"seed": 2}
    assert read_sampling_parameters(tensors(), "{}") == {}


@pytest.mark.parametrize("text", [b"{nope", b"[]", b"null", b"5", b"", b"\xff"])
def test_sampling_parameters_must_be_a_json_object(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of json, of UTF-8, or of ours
        read_sampling_parameters(tensors(sampling_parameters=text), "{}")
