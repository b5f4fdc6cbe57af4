"""A real gRPC server of KServe's protocol that gives verdicts, and misbehaves as a test chooses."""

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

LONGEST_BYTES = 1000
MOST_WINDOWS = 40
THREADS = 80

Answer = service_pb2.ModelStreamInferResponse


@dataclass
class Failure:
    """An error status as the response to a request."""

    status: grpc.StatusCode
    details: str
    trailers: tuple[tuple[str, str], ...] = ()


@dataclass
class KserveServer(GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Received requests, and the behaviour for the next ones.

    It refuses a text of more than LONGEST_BYTES and a request of more than MOST_WINDOWS windows (each word
    `window` counts as one), and fails a request with the text `poison`.

    requests: texts of each request. inputs: input names of each request. failures: errors for the next ones.
    hold: requests wait while it is set. held_text: requests with this text wait, too.
    configs: of the models, by name. judge_status: of every verdict. stream: the responses of a stream.
    cancelled: cancelled requests.
    """

    url: str = ""
    requests: list[list[str]] = field(default_factory=list)
    inputs: list[set[str]] = field(default_factory=list)
    failures: deque[Failure] = field(default_factory=deque)
    hold: bool = False
    held_text: str = ""
    in_flight: int = 0
    most_in_flight: int = 0
    cancelled: int = 0
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    judge_status: str = "skipped"
    stream: Callable[[], Iterator[Any]] = lambda: iter(())
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ModelInfer(self, request: Any, context: Any) -> Any:
        """Verdicts with the text as the judge's reason."""
        texts = [text.decode() for text in deserialize_bytes_tensor(request.raw_input_contents[0])]
        with self.lock:
            self.requests.append(texts)
            self.inputs.append({tensor.name for tensor in request.inputs})
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            while self.hold or self.held_text in texts:
                if not context.is_active():
                    self.cancelled += 1
                    return None
                time.sleep(0.005)
            with self.lock:
                failure = self.failures.popleft() if self.failures else _refusal(texts)
            if failure is not None:
                context.set_trailing_metadata(failure.trailers)
                context.abort(failure.status, failure.details)
            return self._verdicts(texts)
        finally:
            with self.lock:
                self.in_flight -= 1

    def ModelConfig(self, request: Any, context: Any) -> Any:
        """The config of a model, which exists if `configs` has it."""
        if request.name not in self.configs:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown model {request.name}")
        return ParseDict({"config": self.configs[request.name]}, service_pb2.ModelConfigResponse())

    def ModelStreamInfer(self, request_iterator: Any, context: Any) -> Iterator[Any]:  # noqa: ARG002
        """Answer as the test says."""
        next(request_iterator)
        yield from self.stream()

    def _verdicts(self, texts: list[str]) -> Any:
        documents = [
            {
                "flagged": False,
                "refusal": {"detected": False, "score": 0.0},
                "categories": {"flagged": [], "scores": {}},
                "toxicity": {"status": self.judge_status, "label": None, "score": None, "reason": text},
                "windows": 1,
                "truncated": False,
            }
            for text in texts
        ]
        column = np.array([[json.dumps(document).encode()] for document in documents], dtype=np.object_)
        response = service_pb2.ModelInferResponse()
        response.outputs.add(name="verdict", datatype="BYTES", shape=column.shape)
        response.raw_output_contents.append(serialize_byte_tensor(column).item())
        return response


def _refusal(texts: list[str]) -> Failure | None:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    for row, text in enumerate(texts):
        if len(text) > LONGEST_BYTES:
            return Failure(invalid, f"text[{row}] has {len(text)} bytes; the limit is {LONGEST_BYTES}")
        if text == "poison":
            return Failure(grpc.StatusCode.INTERNAL, "the model failed")
    windows = sum(text.split().count("window") for text in texts)
    if windows > MOST_WINDOWS:
        return Failure(invalid, f"the request has {windows} windows; the limit is {MOST_WINDOWS}")
    return None


def piece(text: str | None, *, is_final: bool = False) -> Any:
    """One response of a stream; without `text`, only the final mark."""
    answer = Answer()
    response = answer.infer_response
    if text is not None:
        column = np.array([text.encode()], dtype=np.object_)
        response.outputs.add(name="text_output", datatype="BYTES", shape=[1])
        response.raw_output_contents.append(serialize_byte_tensor(column).item())
    response.parameters["triton_final_response"].bool_param = is_final
    return answer


@contextlib.contextmanager
def kserve_server() -> Iterator[KserveServer]:
    """Serve on a free port."""
    servicer = KserveServer()
    serving = grpc.server(ThreadPoolExecutor(THREADS))
    add_GRPCInferenceServiceServicer_to_server(servicer, serving)
    servicer.url = f"127.0.0.1:{serving.add_insecure_port('127.0.0.1:0')}"
    serving.start()
    try:
        yield servicer
    finally:
        servicer.hold, servicer.held_text = False, ""
        serving.stop(None).wait()
