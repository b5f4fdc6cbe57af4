"""The vLLM adapter's log-probabilities in the form of NVIDIA's backend."""

import json
from types import SimpleNamespace

from launcher.backends.vllm.logic.generation import logprobs_json


def test_each_position_names_its_tokens() -> None:
    entry = SimpleNamespace(logprob=-0.25, rank=1, decoded_token=" toxic")
    assert json.loads(logprobs_json([{7: entry}])) == [
        {"7": {"logprob": -0.25, "rank": 1, "decoded_token": " toxic"}}
    ]


def test_none_were_asked_for() -> None:
    assert logprobs_json(None) == "[]"
