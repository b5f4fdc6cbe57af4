"""Converts vLLM's output to the output tensors of NVIDIA's vLLM backend."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .question import Question

Tensors = dict[str, npt.NDArray[Any]]


def output_tensors(question: Question, output: Any, *, first: bool) -> Tensors:
    """Values of the requested tensors.

    output: a vllm.RequestOutput, in a stream with only the new part.
    first: whether this is the first part of the answer.
    """
    repeated = question.text_input if first and not question.exclude_input_in_output else ""
    sequences = output.outputs
    values: Tensors = {
        "text_output": _strings([repeated + sequence.text for sequence in sequences]),
        "finish_reason": _strings([str(sequence.finish_reason) for sequence in sequences]),
        "cumulative_logprob": np.array(
            [_number(sequence.cumulative_logprob) for sequence in sequences], np.float32
        ),
        "logprobs": _strings([logprobs_json(sequence.logprobs) for sequence in sequences]),
        # A scalar although its config says [1], as NVIDIA's backend sends it.
        "num_input_tokens": np.array(len(output.prompt_token_ids), np.uint32),
        "num_output_tokens": np.array([len(sequence.token_ids) for sequence in sequences], np.uint32),
    }
    return {name: values[name] for name in values if name == "text_output" or name in question.returned}


def logprobs_json(positions: Sequence[Any] | None) -> str:
    """Log-probabilities as JSON: a list by position of {token id: {logprob, rank, decoded_token}}.

    `null` if the sampling parameters did not request any.
    """
    if positions is None:
        return "null"
    return json.dumps(
        [
            {
                str(token_id): {
                    "logprob": entry.logprob,
                    "rank": entry.rank,
                    "decoded_token": entry.decoded_token,
                }
                for token_id, entry in candidates.items()
            }
            for candidates in positions
        ]
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _strings(values: Sequence[str]) -> npt.NDArray[np.object_]:
    return np.array([value.encode() for value in values], dtype=np.object_)
