"""Reads one request from the tensors of NVIDIA's vLLM backend.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/vllm_backend/docs/additional_outputs.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RETURNED = ("finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens", "num_output_tokens")
# Inputs of NVIDIA's backend that a text-only model cannot use.
UNSERVED = ("image", "embedding_request")

# Values of the input tensors that a request has, by name.
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """A text to continue, and the requested outputs.

    sampling_parameters: for vllm.SamplingParams, unchecked.
    returned: those of RETURNED that the caller asked for.
    """

    text_input: str
    sampling_parameters: Mapping[str, Any]
    stream: bool
    exclude_input_in_output: bool
    returned: frozenset[str]


def read_sampling_parameters(inputs: Inputs, request_parameters: str) -> dict[str, Any]:
    """Sampling parameters of the tensor of that name, or else of the request's own parameters.

    request_parameters: a JSON object. Raises ValueError if the tensor is not a JSON object.
    """
    tensor = inputs.get("sampling_parameters")
    text = request_parameters if tensor is None else tensor[0].decode("utf-8")
    parameters = json.loads(text)
    if not isinstance(parameters, dict):
        raise ValueError("sampling_parameters must be a JSON object")
    return parameters


def read_question(inputs: Inputs, sampling_parameters: Mapping[str, Any]) -> Question:
    """Read the inputs; raises ValueError if NVIDIA's backend would answer with an error."""

    def flag(name: str, *, default: bool) -> bool:
        return bool(inputs[name][0]) if name in inputs else default

    for name in UNSERVED:
        if name in inputs:
            raise ValueError(f"the model reads only text and cannot use the input `{name}`")
    stream = flag("stream", default=False)
    # By default a stream has only the new text, and a single answer repeats the input.
    excluded = flag("exclude_input_in_output", default=stream)
    if stream and not excluded:
        raise ValueError("a stream cannot repeat the input: omit `exclude_input_in_output` or set it to true")
    return Question(
        text_input=inputs["text_input"][0].decode("utf-8"),
        sampling_parameters=sampling_parameters,
        stream=stream,
        exclude_input_in_output=excluded,
        returned=frozenset(name for name in RETURNED if flag(f"return_{name}", default=False)),
    )
