"""Direct requests to the model `phi3`: refusals, and an engine that dies.

Unless noted otherwise, NVIDIA's backend refuses the same requests.
"""

import shutil
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import tritonclient.grpc as triton

from launcher import StartError
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.vllm_question import ask, generate, require_an_ordinary_answer

# NVIDIA's backend also answers these with an error.
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
# NVIDIA's backend casts these, passes them to an engine that cannot parse them, or answers unpredictably.
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


def test_only_the_health_check_detects_a_dead_engine(repository: Path, tmp_path: Path) -> None:
    change_config(repository, "ENABLE_VLLM_HEALTH_CHECK", "UNKNOWN")
    options = ServerOptions(repository, ports=free_ports(), log_file=tmp_path / "log")
    with TritonServer(options) as server:
        processes = psutil.Process(server.pid).children(recursive=True)
        engine = next(process for process in processes if "EngineCore" in " ".join(process.cmdline()))
        engine.kill()
        engine.wait()
        # Longer than the backend's interval between checks.
        time.sleep(2)
        (response,) = ask(server)
        assert response.error is not None
        assert "Error generating stream: " in response.error
        with triton.InferenceServerClient(server.grpc_url) as client:
            assert client.is_model_ready("phi3")
