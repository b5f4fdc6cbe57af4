"""Carries named tensors to one model and back, over gRPC or HTTP, for the asyncio client.

A task that is cancelled cancels its request on the wire.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Protocol

import tritonclient.grpc.aio
import tritonclient.http.aio

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


class AsyncTransport(Protocol):
    """A connection to one server, of one event loop.

    Every call ends within its `timeout_s`, and raises its protocol's own errors, which
    `translated_errors` turns into TribunalErrors.
    """

    async def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        """Send `inputs` to `model` and return its tensor `output`."""

    def stream(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> AsyncGenerator[Tensor]:
        """Send `inputs` to the decoupled `model` and give its tensors `output`."""

    async def version(self, timeout_s: float) -> str:
        """Triton's version."""

    async def models(self, timeout_s: float) -> list[str]:
        """Names of the models that are loaded."""

    async def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server takes requests for `model`."""

    async def close(self) -> None:
        """Release the connection and cancel what is under way."""


def open_async_transport(address: Address, connection: Connection) -> AsyncTransport:
    """Transport by the protocol of `address`, of the running event loop."""
    if address.is_http:
        return _AsyncHttpTransport(address, connection)
    return _AsyncGrpcTransport(address, connection)


class _AsyncGrpcTransport(AsyncTransport):
    """gRPC; one channel for all calls."""

    def __init__(self, address: Address, connection: Connection) -> None:
        self._url = address.url
        self._common = {"headers": connection.lowercase_headers}
        self._streamed = {"headers": {**connection.lowercase_headers, **STREAM_HEADERS}}
        self._compression = {"compression_algorithm": connection.compression}
        self._client = tritonclient.grpc.aio.InferenceServerClient(**grpc_options(address, connection))

    async def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        answer = await self._client.infer(
            **grpc_inference(model, inputs, output),
            **self._common,
            **self._compression,
            client_timeout=timeout_s,
        )
        return output_tensor(answer, output)

    async def stream(
        self, model: str, inputs: Tensors, output: str, timeout_s: float
    ) -> AsyncGenerator[Tensor]:

        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield grpc_inference(model, inputs, output)

        answers = self._client.stream_infer(
            requests(), stream_timeout=timeout_s, **self._streamed, **self._compression
        )
        try:
            # There is one request, so the server ends the stream after its last answer.
            async for result, error in answers:
                if error is not None:
                    raise error
                if result.get_response().outputs:
                    yield output_tensor(result, output)
        finally:
            answers.cancel()

    async def version(self, timeout_s: float) -> str:
        metadata = await self._client.get_server_metadata(client_timeout=timeout_s, **self._common)
        return str(metadata.version)

    async def models(self, timeout_s: float) -> list[str]:
        statistics = await self._client.get_inference_statistics(client_timeout=timeout_s, **self._common)
        return [model.name for model in statistics.model_stats]

    async def is_ready(self, model: str, timeout_s: float) -> bool:
        return bool(await self._client.is_model_ready(model, client_timeout=timeout_s, **self._common))

    async def close(self) -> None:
        await self._client.close()


class _AsyncHttpTransport(AsyncTransport):
    """HTTP; a pool of connections."""

    def __init__(self, address: Address, connection: Connection) -> None:
        self._url = address.url
        self._connection = connection
        self._client = tritonclient.http.aio.InferenceServerClient(
            address.host,
            conn_limit=connection.max_in_flight,
            # Each call has its own limit.
            conn_timeout=None,
            ssl=address.is_tls,
            ssl_context=tls_context(connection) if address.is_tls else None,
        )

    async def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        async with asyncio.timeout(timeout_s):
            answer = await self._client.infer(**http_inference(model, inputs, output, self._connection))
        return output_tensor(answer, output)

    async def stream(
        self,
        model: str,  # noqa: ARG002
        inputs: Tensors,  # noqa: ARG002
        output: str,  # noqa: ARG002
        timeout_s: float,  # noqa: ARG002
    ) -> AsyncGenerator[Tensor]:
        """Raise InvalidInput: only gRPC streams."""
        raise no_stream(self._url)
        yield

    async def version(self, timeout_s: float) -> str:
        async with asyncio.timeout(timeout_s):
            metadata = await self._client.get_server_metadata(headers=self._connection.lowercase_headers)
        return str(metadata["version"])

    async def models(self, timeout_s: float) -> list[str]:
        headers = self._connection.lowercase_headers
        async with asyncio.timeout(timeout_s):
            statistics = await self._client.get_inference_statistics(headers=headers)
        return [model["name"] for model in statistics["model_stats"]]

    async def is_ready(self, model: str, timeout_s: float) -> bool:
        headers = self._connection.lowercase_headers
        async with asyncio.timeout(timeout_s):
            return bool(await self._client.is_model_ready(model, headers=headers))

    async def close(self) -> None:
        await self._client.close()
