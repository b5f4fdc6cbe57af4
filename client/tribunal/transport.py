"""Carries named tensors to one model and back, over gRPC or HTTP, for the synchronous client."""

import queue
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

import gevent
import tritonclient.grpc
import tritonclient.http

from tribunal.connection import Address, Connection
from tribunal.messages import Tensor, Tensors
from tribunal.wire import (
    STREAM_HEADERS,
    grpc_inference,
    grpc_options,
    http_inference,
    no_stream,
    output_tensor,
    tls_context,
)

Result = TypeVar("Result")


class Transport(Protocol):
    """A connection to one server.

    Every call ends within its `timeout_s`, and raises its protocol's own errors, which
    `translated_errors` turns into TribunalErrors.
    """

    def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        """Send `inputs` to `model` and return its tensor `output`."""

    def stream(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Generator[Tensor]:
        """Send `inputs` to the decoupled `model` and give its tensors `output`."""

    def version(self, timeout_s: float) -> str:
        """Triton's version."""

    def models(self, timeout_s: float) -> list[str]:
        """Names of the models that are loaded."""

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server takes requests for `model`."""

    def close(self) -> None:
        """Release the connection."""


def open_transport(address: Address, connection: Connection) -> Transport:
    """Transport by the protocol of `address`; raises InvalidInput where a file for TLS cannot be read."""
    if address.is_http:
        return _HttpTransport(address, connection)
    return _GrpcTransport(address, connection)


class _GrpcTransport(Transport):
    """gRPC; one channel, safe to share between threads."""

    def __init__(self, address: Address, connection: Connection) -> None:
        self._options = grpc_options(address, connection)
        self._common = {"headers": connection.lowercase_headers}
        self._streamed = {"headers": {**connection.lowercase_headers, **STREAM_HEADERS}}
        self._compression = {"compression_algorithm": connection.compression}
        self._client = self._connect()

    def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        answer = self._client.infer(
            **grpc_inference(model, inputs, output),
            **self._common,
            **self._compression,
            client_timeout=timeout_s,
        )
        return output_tensor(answer, output)

    def stream(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Generator[Tensor]:
        """Give the answers over a channel of their own, which is closed after the last one."""
        answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        with self._connect() as client:
            client.start_stream(
                lambda result, error: answers.put((result, error)),
                stream_timeout=timeout_s,
                **self._streamed,
                **self._compression,
            )
            client.async_stream_infer(
                **grpc_inference(model, inputs, output), enable_empty_final_response=True
            )
            try:
                while True:
                    result, error = answers.get()
                    if error is not None:
                        raise error
                    response = result.get_response()
                    if response.outputs:
                        yield output_tensor(result, output)
                    if response.parameters["triton_final_response"].bool_param:
                        return
            finally:
                client.stop_stream(cancel_requests=True)

    def version(self, timeout_s: float) -> str:
        return str(self._client.get_server_metadata(client_timeout=timeout_s, **self._common).version)

    def models(self, timeout_s: float) -> list[str]:
        statistics = self._client.get_inference_statistics(client_timeout=timeout_s, **self._common)
        return [model.name for model in statistics.model_stats]

    def is_ready(self, model: str, timeout_s: float) -> bool:
        return bool(self._client.is_model_ready(model, client_timeout=timeout_s, **self._common))

    def close(self) -> None:
        self._client.close()

    def _connect(self) -> Any:
        return tritonclient.grpc.InferenceServerClient(**self._options)


class _HttpTransport(Transport):
    """HTTP; a connection for each thread that calls, for gevent's sockets belong to one thread."""

    def __init__(self, address: Address, connection: Connection) -> None:
        self._address = address
        self._connection = connection
        self._common = {"headers": connection.lowercase_headers}
        self._local = threading.local()
        if address.is_tls:
            tls_context(connection)

    def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        arguments = http_inference(model, inputs, output, self._connection)
        answer = self._call(lambda client: client.infer(**arguments), timeout_s)
        return output_tensor(answer, output)

    def stream(
        self,
        model: str,  # noqa: ARG002
        inputs: Tensors,  # noqa: ARG002
        output: str,  # noqa: ARG002
        timeout_s: float,  # noqa: ARG002
    ) -> Generator[Tensor]:
        """Raise InvalidInput: only the gRPC client streams."""
        raise no_stream(self._address.url)
        yield

    def version(self, timeout_s: float) -> str:
        metadata = self._call(lambda client: client.get_server_metadata(**self._common), timeout_s)
        return str(metadata["version"])

    def models(self, timeout_s: float) -> list[str]:
        statistics = self._call(lambda client: client.get_inference_statistics(**self._common), timeout_s)
        return [model["name"] for model in statistics["model_stats"]]

    def is_ready(self, model: str, timeout_s: float) -> bool:
        return self._call(lambda client: bool(client.is_model_ready(model, **self._common)), timeout_s)

    def close(self) -> None:
        """Release the calling thread's connection; those of other threads go with their threads."""
        client = vars(self._local).pop("client", None)
        if client is not None:
            client.close()

    def _call(self, call: Callable[[Any], Result], timeout_s: float) -> Result:
        with gevent.Timeout(timeout_s):
            if not hasattr(self._local, "client"):
                self._local.client = self._connect()
            return call(self._local.client)

    def _connect(self) -> Any:
        files = self._connection.tls_files
        names = {"ca_file": "ca_certs", "cert_file": "certfile", "key_file": "keyfile"}
        # The deadline is gevent.Timeout's; the client's own limits must not come before it.
        return tritonclient.http.InferenceServerClient(
            self._address.host,
            connection_timeout=None,
            network_timeout=None,
            ssl=self._address.is_tls,
            ssl_options={names[name]: str(path) for name, path in files.items()},
        )
