"""One request, in the terms of the tensors of NVIDIA's vLLM backend.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/vllm_backend/docs/additional_outputs.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RETURNED = ("finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens", "num_output_tokens")
# Inputs of NVIDIA's backend that no model of text alone can serve.
UNSERVED = ("image", "embedding_request")

# Values of the input tensors that a request has, by name.
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """A text to continue, and what is to be answered.

    sampling_parameters: for vllm.SamplingParams, unchecked.
    returned: those of RETURNED that the caller asked for.
    """

    text_input: str
    sampling_parameters: Mapping[str, Any]
    stream: bool
    exclude_input_in_output: bool
    returned: frozenset[str]


def read_sampling_parameters(inputs: Inputs, request_parameters: str) -> dict[str, Any]:
    """Sampling parameters in the tensor of that name, or else in the parameters of the request itself.

    request_parameters: a JSON object. Raises ValueError if the tensor does not hold one.
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
            raise ValueError(f"the model generates from text alone and cannot use the input `{name}`")
    stream = flag("stream", default=False)
    # By default a stream has only what is new, and a single answer repeats the input.
    excluded = flag("exclude_input_in_output", default=stream)
    if stream and not excluded:
        raise ValueError("a stream cannot repeat the input: leave `exclude_input_in_output` out or set it")
    return Question(
        text_input=inputs["text_input"][0].decode("utf-8"),
        sampling_parameters=sampling_parameters,
        stream=stream,
        exclude_input_in_output=excluded,
        returned=frozenset(name for name in RETURNED if flag(f"return_{name}", default=False)),
    )
