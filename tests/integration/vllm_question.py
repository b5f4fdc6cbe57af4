"""Sends requests to the model `phi3`, with the tensors of NVIDIA's vLLM backend."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
import requests
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from launcher.process.server import TritonServer

ANSWER_TIMEOUT_S = 60
GREEDY = {"temperature": 0.0, "max_tokens": 6, "logprobs": 20}
TEXT = "The bread is"


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
    """The inputs that `judge_prompt` sends, but with few tokens."""
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


def generate(server: TritonServer, **fields: Any) -> requests.Response:
    return requests.post(
        f"{server.http_url}/v2/models/phi3/generate", json={"text_input": TEXT, **fields}, timeout=30
    )
