"""The tensor interface of NVIDIA's vLLM backend, as values: what is asked, and what is answered.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/vllm_backend/docs/additional_outputs.html
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

RETURNED = ("finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens", "num_output_tokens")


@dataclass(frozen=True)
class Question:
    """One request. `sampling_parameters` are those of vllm.SamplingParams; `returned` of RETURNED."""

    text_input: str
    sampling_parameters: dict[str, Any]
    stream: bool
    exclude_input_in_output: bool
    returned: frozenset[str]


def logprobs_json(positions: Sequence[Any] | None) -> str:
    """Log-probabilities as JSON: a list by position of {token id: {logprob, rank, decoded_token}}."""
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
            for candidates in positions or []
        ]
    )
