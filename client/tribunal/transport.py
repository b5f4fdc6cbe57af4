"""Carries named tensors to one model and back, over gRPC or HTTP, and sorts failures by fault."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import gevent
import numpy.typing as npt
import tritonclient.grpc
import tritonclient.http
from geventhttpclient.response import HTTPConnectionClosed
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tribunal.errors import DeadlineExceeded, InvalidInput, ServerError, ServerUnavailable, TribunalError

Tensor = npt.NDArray[Any]
Result = TypeVar("Result")

FAULTS: dict[str | None, type[TribunalError]] = {
    "StatusCode.INVALID_ARGUMENT": InvalidInput,
    "400": InvalidInput,
    "StatusCode.UNAVAILABLE": ServerUnavailable,
    "502": ServerUnavailable,
    "503": ServerUnavailable,
    "StatusCode.DEADLINE_EXCEEDED": DeadlineExceeded,
    "504": DeadlineExceeded,
}


class Transport(Protocol):
    """A connection to one server; every call ends within its `timeout_s` or raises DeadlineExceeded."""

    def infer(self, model: str, inputs: Mapping[str, Tensor], output: str, timeout_s: float) -> Tensor:
        """Send `inputs` to `model` and return its tensor `output`; raises TribunalError."""

    def stream(
        self, model: str, inputs: Mapping[str, Tensor], output: str, timeout_s: float
    ) -> Iterator[Tensor]:
        """Send `inputs` to the decoupled `model` and give its tensors `output`; raises TribunalError."""

    def version(self, timeout_s: float) -> str:
        """Triton's version; raises TribunalError."""

    def models(self, timeout_s: float) -> list[str]:
        """Names of the models that are loaded; raises TribunalError."""

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server takes requests for `model`; raises TribunalError where none answers."""

    def close(self) -> None:
        """Release the connection."""


def open_transport(url: str) -> Transport:
    """Transport for `host:port` (gRPC) or `http://host:port` (HTTP); raises InvalidInput for others."""
    scheme, separator, address = url.rpartition("://")
    if scheme == "http":
        return HttpTransport(url, address.rstrip("/"))
    if separator:
        raise InvalidInput(f"url {url!r} is neither host:port (gRPC) nor http://host:port (HTTP)")
    return GrpcTransport(url)


class GrpcTransport:
    """gRPC; one channel, safe to share between threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = tritonclient.grpc.InferenceServerClient(url)

    def infer(self, model: str, inputs: Mapping[str, Tensor], output: str, timeout_s: float) -> Tensor:
        """See Transport."""
        with _sorted_by_fault(self._url, timeout_s):
            answer = self._client.infer(
                model,
                _input_tensors(tritonclient.grpc.InferInput, inputs),
                outputs=[tritonclient.grpc.InferRequestedOutput(output)],
                client_timeout=timeout_s,
            )
        return _present(answer.as_numpy(output), output)

    def stream(
        self, model: str, inputs: Mapping[str, Tensor], output: str, timeout_s: float
    ) -> Iterator[Tensor]:
        """See Transport. A stream has a channel of its own, which ends with it."""
        answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        with (
            _sorted_by_fault(self._url, timeout_s),
            tritonclient.grpc.InferenceServerClient(self._url) as client,
        ):
            client.start_stream(lambda result, error: answers.put((result, error)), stream_timeout=timeout_s)
            client.async_stream_infer(
                model,
                _input_tensors(tritonclient.grpc.InferInput, inputs),
                outputs=[tritonclient.grpc.InferRequestedOutput(output)],
                enable_empty_final_response=True,
            )
            try:
                while True:
                    result, error = answers.get()
                    if error is not None:
                        raise error
                    response = result.get_response()
                    if response.outputs:
                        yield _present(result.as_numpy(output), output)
                    if response.parameters["triton_final_response"].bool_param:
                        return
            finally:
                client.stop_stream(cancel_requests=True)

    def version(self, timeout_s: float) -> str:
        """See Transport."""
        with _sorted_by_fault(self._url, timeout_s):
            return str(self._client.get_server_metadata(client_timeout=timeout_s).version)

    def models(self, timeout_s: float) -> list[str]:
        """See Transport."""
        with _sorted_by_fault(self._url, timeout_s):
            statistics = self._client.get_inference_statistics(client_timeout=timeout_s)
        return [model.name for model in statistics.model_stats]

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """See Transport."""
        with _sorted_by_fault(self._url, timeout_s):
            return bool(self._client.is_model_ready(model, client_timeout=timeout_s))

    def close(self) -> None:
        """See Transport."""
        self._client.close()


class HttpTransport:
    """HTTP; a connection for each thread that calls, for gevent's sockets belong to one thread."""

    def __init__(self, url: str, address: str) -> None:
        self._url = url
        self._address = address
        self._local = threading.local()

    def infer(self, model: str, inputs: Mapping[str, Tensor], output: str, timeout_s: float) -> Tensor:
        """See Transport."""
        tensors = _input_tensors(tritonclient.http.InferInput, inputs)
        wanted = [tritonclient.http.InferRequestedOutput(output)]
        answer = self._call(lambda client: client.infer(model, tensors, outputs=wanted), timeout_s)
        return _present(answer.as_numpy(output), output)

    def stream(
        self,
        model: str,  # noqa: ARG002
        inputs: Mapping[str, Tensor],  # noqa: ARG002
        output: str,  # noqa: ARG002
        timeout_s: float,  # noqa: ARG002
    ) -> Iterator[Tensor]:
        """Raise InvalidInput: only the gRPC client streams."""
        raise InvalidInput(f"streaming needs gRPC, and {self._url} is HTTP: give host:port")

    def version(self, timeout_s: float) -> str:
        """See Transport."""
        return str(self._call(lambda client: client.get_server_metadata(), timeout_s)["version"])

    def models(self, timeout_s: float) -> list[str]:
        """See Transport."""
        statistics = self._call(lambda client: client.get_inference_statistics(), timeout_s)
        return [model["name"] for model in statistics["model_stats"]]

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """See Transport."""
        return self._call(lambda client: bool(client.is_model_ready(model)), timeout_s)

    def close(self) -> None:
        """Release the calling thread's connection; those of other threads go with their threads."""
        client = vars(self._local).pop("client", None)
        if client is not None:
            client.close()

    def _call(self, call: Callable[[Any], Result], timeout_s: float) -> Result:
        with _sorted_by_fault(self._url, timeout_s), gevent.Timeout(timeout_s):
            if not hasattr(self._local, "client"):
                # The deadline is gevent.Timeout's; the client's own limits must not come before it.
                self._local.client = tritonclient.http.InferenceServerClient(
                    self._address, connection_timeout=timeout_s, network_timeout=None
                )
            return call(self._local.client)


def _input_tensors(kind: type[Any], inputs: Mapping[str, Tensor]) -> list[Any]:
    tensors = []
    for name, values in inputs.items():
        tensor = kind(name, list(values.shape), np_to_triton_dtype(values.dtype))
        tensor.set_data_from_numpy(values)
        tensors.append(tensor)
    return tensors


def _present(values: Tensor | None, output: str) -> Tensor:
    if values is None:
        raise ServerError(f"the server's answer lacks {output}; are client and server of the same version?")
    return values


@contextmanager
def _sorted_by_fault(url: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except (gevent.Timeout, TimeoutError) as error:
        raise DeadlineExceeded(f"no answer from {url} within {timeout_s:g} s") from error
    except (OSError, HTTPConnectionClosed) as error:
        raise ServerUnavailable(_unavailable(url, error)) from error
    except InferenceServerException as error:
        fault = FAULTS.get(error.status(), ServerError)
        if fault is ServerUnavailable:
            raise ServerUnavailable(_unavailable(url, error.message())) from error
        if fault is DeadlineExceeded:
            raise DeadlineExceeded(f"no answer from {url} within {timeout_s:g} s") from error
        raise fault(error.message()) from error


def _unavailable(url: str, reason: object) -> str:
    return f"no server answers at {url} ({reason}): check that it runs and that the address is right"
