"""Direct requests to the model `phi3`: the tensors of NVIDIA's vLLM backend.

The launcher's backend answers like NVIDIA's.
"""

import json
import math
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton

from launcher.process.server import TritonServer
from tests.integration.metrics import settle, value
from tests.integration.vllm_question import ANSWER_TIMEOUT_S, GREEDY, TEXT, ask, generate, judge_question

# The tensors that `judge_prompt` sends to `phi3`, and those that `judge` reads of its answer.
INPUTS = {
    "text_input": ("TYPE_STRING", [1]),
    "sampling_parameters": ("TYPE_STRING", [1]),
    "stream": ("TYPE_BOOL", [1]),
    "exclude_input_in_output": ("TYPE_BOOL", [1]),
    "return_logprobs": ("TYPE_BOOL", [1]),
}
OUTPUTS = {"text_output": ("TYPE_STRING", [-1]), "logprobs": ("TYPE_STRING", [-1])}
EXTRA = {
    "return_finish_reason": True,
    "return_cumulative_logprob": True,
    "return_num_input_tokens": True,
    "return_num_output_tokens": True,
}


def test_the_tensors_that_the_judge_uses_are_those_of_the_config(server: TritonServer) -> None:
    with triton.InferenceServerClient(server.grpc_url) as client:
        config = client.get_model_config("phi3", as_json=True)["config"]
    for used, declared in ((INPUTS, config["input"]), (OUTPUTS, config["output"])):
        found = {tensor["name"]: tensor for tensor in declared}
        for name, (kind, dims) in used.items():
            assert (found[name]["data_type"], [int(size) for size in found[name]["dims"]]) == (kind, dims)
    assert config["model_transaction_policy"]["decoupled"]


def test_an_answer_is_one_final_response(server: TritonServer) -> None:
    (response,) = ask(server, **judge_question())
    assert response.final
    assert response.tensors.keys() == OUTPUTS.keys()
    for tensor in response.tensors.values():
        assert (tensor.shape, tensor.dtype) == ((1,), np.object_)
    positions = json.loads(response.tensors["logprobs"][0])
    assert len(positions) == GREEDY["max_tokens"]
    for candidates in positions:
        assert GREEDY["logprobs"] <= len(candidates) <= GREEDY["logprobs"] + 1
        assert min(entry["rank"] for entry in candidates.values()) == 1
        for token_id, entry in candidates.items():
            assert token_id.isdecimal()
            assert entry.keys() == {"logprob", "rank", "decoded_token"}


def test_the_last_piece_of_a_stream_is_the_final_response(server: TritonServer) -> None:
    (whole,) = ask(server, **judge_question(**EXTRA))
    pieces = ask(server, **judge_question(stream=True, **EXTRA))
    assert [piece.final for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    # vLLM joins pieces that are read too late.
    assert 1 < len(pieces) <= GREEDY["max_tokens"]
    assert all(piece.tensors.keys() == whole.tensors.keys() for piece in pieces)

    def joined(name: str) -> list[Any]:
        return [piece.tensors[name][0] for piece in pieces]

    assert b"".join(joined("text_output")) == whole.tensors["text_output"][0]
    positions = [position for part in joined("logprobs") for position in json.loads(part)]
    for streamed, alone in zip(positions, json.loads(whole.tensors["logprobs"][0]), strict=True):
        assert streamed.keys() == alone.keys()
    assert sum(joined("num_output_tokens")) == GREEDY["max_tokens"]
    assert joined("finish_reason") == [b"None"] * (len(pieces) - 1) + [b"length"]
    assert joined("cumulative_logprob")[-1] == pytest.approx(whole.tensors["cumulative_logprob"][0], abs=1e-3)


def test_every_other_output(server: TritonServer) -> None:
    (response,) = ask(server, **judge_question(**EXTRA))
    tensors = response.tensors
    assert tensors["finish_reason"].tolist() == [b"length"]
    assert (tensors["cumulative_logprob"].shape, tensors["cumulative_logprob"].dtype) == ((1,), np.float32)
    # A scalar, although the config says [1].
    assert (tensors["num_input_tokens"].shape, tensors["num_input_tokens"].dtype) == ((), np.uint32)
    assert tensors["num_input_tokens"] > 0
    assert (tensors["num_output_tokens"].tolist(), tensors["num_output_tokens"].dtype) == (
        [GREEDY["max_tokens"]],
        np.uint32,
    )


def test_log_probabilities_that_were_not_asked_of_vllm_are_null(server: TritonServer) -> None:
    asked = {"sampling_parameters": {"max_tokens": 2}, "return_logprobs": True}
    (response,) = ask(server, **asked, return_cumulative_logprob=True)
    assert response.tensors["logprobs"].tolist() == [b"null"]
    assert math.isnan(response.tensors["cumulative_logprob"][0])


def test_a_single_answer_repeats_its_input_unless_told_otherwise(server: TritonServer) -> None:
    (whole,) = ask(server, sampling_parameters=GREEDY)
    (alone,) = ask(server, sampling_parameters=GREEDY, exclude_input_in_output=True)
    assert whole.tensors.keys() == {"text_output"}
    assert whole.tensors["text_output"][0] == TEXT.encode() + alone.tensors["text_output"][0]


def test_without_the_tensor_the_parameters_of_the_request_count(server: TritonServer) -> None:
    answer = generate(server, parameters={"max_tokens": 3, "temperature": 0}, return_num_output_tokens=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["num_output_tokens"] == 3


def test_the_metrics_of_the_engine(server: TritonServer) -> None:
    labels = {"model": "phi3", "version": "1"}
    earlier = settle(server)
    (response,) = ask(server, **judge_question(return_num_input_tokens=True))
    later = settle(server)

    def grew(name: str) -> float:
        return value(later, f"vllm:{name}", **labels) - value(earlier, f"vllm:{name}", **labels)

    assert grew("prompt_tokens_total") == response.tensors["num_input_tokens"]
    assert grew("generation_tokens_total") == GREEDY["max_tokens"]
    assert grew("time_to_first_token_seconds_count") == 1
    assert grew("time_per_output_token_seconds_count") == GREEDY["max_tokens"] - 1
    assert 0 < grew("e2e_request_latency_seconds_sum") < ANSWER_TIMEOUT_S
    assert grew("request_prompt_tokens_sum") == response.tensors["num_input_tokens"]
    assert grew("request_generation_tokens_sum") == GREEDY["max_tokens"]
    assert grew("request_params_n_count") == 1
