"""vLLM's output in the tensors of NVIDIA's backend."""

import json
import math
from types import SimpleNamespace
from typing import Any

from launcher.backends.vllm.logic.generation import logprobs_json, output_tensors
from launcher.backends.vllm.logic.question import RETURNED, Question

LIKELY = SimpleNamespace(logprob=-0.25, rank=1, decoded_token=" toxic")


def question(*returned: str, stream: bool = False, exclude: bool = True) -> Question:
    return Question("Is it?", {}, stream, exclude, frozenset(returned))


def output(logprobs: Any = None, cumulative_logprob: float | None = None) -> Any:
    sequence = SimpleNamespace(
        text=" toxic",
        finish_reason=None,
        cumulative_logprob=cumulative_logprob,
        logprobs=logprobs,
        token_ids=[7, 8],
    )
    return SimpleNamespace(outputs=[sequence], prompt_token_ids=[1, 2, 3])


def test_each_position_names_its_tokens() -> None:
    assert json.loads(logprobs_json([{7: LIKELY}])) == [
        {"7": {"logprob": -0.25, "rank": 1, "decoded_token": " toxic"}}
    ]


def test_outputs_that_were_not_requested_are_absent() -> None:
    assert list(output_tensors(question(), output(), first=True)) == ["text_output"]


def test_everything_that_can_be_asked_for() -> None:
    tensors = output_tensors(question(*RETURNED), output([{7: LIKELY}], -0.25), first=True)
    assert {name: (tensor.shape, tensor.dtype.name) for name, tensor in tensors.items()} == {
        "text_output": ((1,), "object"),
        "finish_reason": ((1,), "object"),
        "cumulative_logprob": ((1,), "float32"),
        "logprobs": ((1,), "object"),
        "num_input_tokens": ((), "uint32"),
        "num_output_tokens": ((1,), "uint32"),
    }
    assert tensors["finish_reason"][0] == b"None"
    assert tensors["cumulative_logprob"][0] == -0.25
    assert (tensors["num_input_tokens"].item(), tensors["num_output_tokens"].tolist()) == (3, [2])


def test_log_probabilities_that_vllm_was_not_asked_for_are_null() -> None:
    tensors = output_tensors(question("logprobs", "cumulative_logprob"), output(), first=True)
    assert tensors["logprobs"][0] == b"null"
    assert math.isnan(tensors["cumulative_logprob"][0])


def test_the_input_is_repeated_once_unless_it_is_excluded() -> None:
    def text(asked: Question, *, first: bool) -> bytes:
        return bytes(output_tensors(asked, output(), first=first)["text_output"][0])

    assert text(question(exclude=False), first=True) == b"Is it? toxic"
    assert text(question(exclude=False), first=False) == b" toxic"
    assert text(question(exclude=True), first=True) == b" toxic"
