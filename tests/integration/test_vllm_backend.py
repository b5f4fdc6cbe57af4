"""Model `phi3`, asked directly: the tensors of NVIDIA's vLLM backend, and what is refused.

What the backend of the launcher answers, NVIDIA's answers in the same way.
"""

import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import psutil
import pytest
import requests
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from launcher import StartError
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.metrics import settle, value

ANSWER_TIMEOUT_S = 60
# What `judge_prompt` sends to `phi3`, and what `judge` reads of its answer.
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
GREEDY = {"temperature": 0.0, "max_tokens": 6, "logprobs": 20}
TEXT = "The bread is"

# NVIDIA's backend answers these with an error too.
REFUSED = {
    "a stream that repeats its input": {"stream": True, "exclude_input_in_output": False},
    "an image": {"image": "aGk="},
    "an embedding": {"embedding_request": "{}"},
    "a text that is not UTF-8": {"text_input": b"\xff"},
    "a prompt that is too long": {"text_input": "word " * 3000},
    "an unknown parameter": {"sampling_parameters": {"nonsense": 1}},
    "a value out of range": {"sampling_parameters": {"temperature": -1}},
    "more log-probabilities than the engine gives": {"sampling_parameters": {"logprobs": 21}},
    "null for an integer": {"sampling_parameters": {"max_tokens": None}},
    "null for a number": {"sampling_parameters": {"temperature": None}},
    "structured outputs as an object": {"sampling_parameters": {"structured_outputs": {"regex": "a"}}},
    "token ids that are not numbers": {"sampling_parameters": {"stop_token_ids": ["a"]}},
}
# NVIDIA's backend casts these, passes them to an engine that cannot read them, or answers by chance.
REFUSED_HERE = {
    "a fraction for an integer": {"sampling_parameters": {"max_tokens": 5.7}},
    "a fractional seed": {"sampling_parameters": {"seed": 1.5}},
    "a number in a string": {"sampling_parameters": {"temperature": "0.5"}},
    "a word for a flag": {"sampling_parameters": {"ignore_eos": "yes"}},
    "numbers for words": {"sampling_parameters": {"bad_words": [3]}},
    "token ids in strings": {"sampling_parameters": {"logit_bias": {"5": 1.0}}},
    "several sequences": {"sampling_parameters": {"n": 2}},
    "an internal field": {"sampling_parameters": {"output_kind": 2}},
}
NOT_JSON = ["{nope", "[]", "null", b"\xff"]


@dataclass(frozen=True)
class Response:
    """One response of a stream: its tensors by name, or its error."""

    tensors: dict[str, Any]
    error: str | None
    final: bool


def encoded(tensors: dict[str, Any]) -> Iterator[triton.InferInput]:
    for name, content in tensors.items():
        if isinstance(content, bool):
            array, kind = np.array([content]), "BOOL"
        else:
            text = json.dumps(content) if isinstance(content, dict) else content
            array, kind = np.array([text], dtype=np.object_), "BYTES"
        tensor = triton.InferInput(name, [1], kind)
        tensor.set_data_from_numpy(array)
        yield tensor


def ask(server: TritonServer, **tensors: Any) -> list[Response]:
    """Every response to one question, up to the final one or an error."""
    queue: SimpleQueue[tuple[triton.InferResult | None, InferenceServerException | None]] = SimpleQueue()
    responses: list[Response] = []
    with triton.InferenceServerClient(server.grpc_url) as client:
        client.start_stream(lambda result, error: queue.put((result, error)))
        inputs = list(encoded({"text_input": TEXT} | tensors))
        client.async_stream_infer("phi3", inputs, enable_empty_final_response=True)
        while not (responses and (responses[-1].final or responses[-1].error)):
            result, error = queue.get(timeout=ANSWER_TIMEOUT_S)
            if result is None:
                responses.append(Response({}, str(error), final=False))
                continue
            message = result.get_response()
            read = {output.name: result.as_numpy(output.name) for output in message.outputs}
            responses.append(Response(read, None, message.parameters["triton_final_response"].bool_param))
        client.stop_stream()
    assert queue.empty()
    return responses


def judge_question(**changes: Any) -> dict[str, Any]:
    """What `judge_prompt` sends, for a few tokens."""
    return {
        "sampling_parameters": GREEDY,
        "stream": False,
        "exclude_input_in_output": True,
        "return_logprobs": True,
    } | changes


def require_an_ordinary_answer(server: TritonServer) -> None:
    (response,) = ask(server, **judge_question())
    assert response.error is None
    assert response.tensors["text_output"][0]


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
    # vLLM joins pieces that are taken too late.
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
    # A scalar, although its config says [1].
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


@pytest.mark.parametrize("asked", [*REFUSED.values(), *REFUSED_HERE.values()], ids=[*REFUSED, *REFUSED_HERE])
def test_a_refusal_is_an_error_and_harms_nothing(server: TritonServer, asked: dict[str, Any]) -> None:
    (response,) = ask(server, **asked)
    assert response.error is not None
    assert "Error generating stream: " in response.error
    require_an_ordinary_answer(server)


def test_a_lora_adapter_is_refused(server: TritonServer) -> None:
    (response,) = ask(server, sampling_parameters={"lora_name": "x"})
    assert response.error is not None
    assert "LoRA" in response.error
    require_an_ordinary_answer(server)


@pytest.mark.parametrize("text", NOT_JSON)
def test_sampling_parameters_that_are_not_json_fail_in_triton(
    server: TritonServer, text: str | bytes
) -> None:
    (response,) = ask(server, sampling_parameters=text)
    assert response.error is not None
    assert "Failed to process the request(s) for model 'phi3" in response.error
    require_an_ordinary_answer(server)


def generate(server: TritonServer, **fields: Any) -> requests.Response:
    return requests.post(
        f"{server.http_url}/v2/models/phi3/generate", json={"text_input": TEXT, **fields}, timeout=30
    )


def test_without_the_tensor_the_parameters_of_the_request_count(server: TritonServer) -> None:
    answer = generate(server, parameters={"max_tokens": 3, "temperature": 0}, return_num_output_tokens=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["num_output_tokens"] == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"nonsense": 1},
        {"parameters": {"temperature": -1}},
        {"sampling_parameters": '{"max_tokens": null}'},
        {"image": "aGk="},
        {"stream": True, "exclude_input_in_output": False},
    ],
)
def test_a_refusal_over_http(server: TritonServer, fields: dict[str, Any]) -> None:
    answer = generate(server, **fields)
    assert answer.status_code == 400
    assert "Error generating stream: " in answer.text
    require_an_ordinary_answer(server)


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


@pytest.fixture
def repository(demo_repository: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(demo_repository, tmp_path / "repository"))


def change_config(repository: Path, old: str, new: str) -> None:
    path = repository / "phi3" / "config.pbtxt"
    config = path.read_text("utf-8")
    assert old in config
    path.write_text(config.replace(old, new), "utf-8")


def test_a_model_that_is_not_decoupled_is_not_loaded(repository: Path, tmp_path: Path) -> None:
    change_config(repository, "decoupled: true", "decoupled: false")
    options = ServerOptions(repository, ports=free_ports(), log_file=tmp_path / "log")
    with pytest.raises(StartError, match="the model must be decoupled"), TritonServer(options):
        pass


def test_without_the_health_check_nobody_hears_of_a_dead_engine(repository: Path, tmp_path: Path) -> None:
    change_config(repository, "ENABLE_VLLM_HEALTH_CHECK", "UNKNOWN")
    options = ServerOptions(repository, ports=free_ports(), log_file=tmp_path / "log")
    with TritonServer(options) as server:
        processes = psutil.Process(server.pid).children(recursive=True)
        engine = next(process for process in processes if "EngineCore" in " ".join(process.cmdline()))
        engine.kill()
        engine.wait()
        # Longer than the backend waits between two checks.
        time.sleep(2)
        (response,) = ask(server)
        assert response.error is not None
        assert "Error generating stream: " in response.error
        with triton.InferenceServerClient(server.grpc_url) as client:
            assert client.is_model_ready("phi3")
