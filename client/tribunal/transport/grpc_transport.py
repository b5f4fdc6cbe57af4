"""gRPC for both clients: one channel for all calls, including streams."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from tribunal.connection import Address, Connection
from tribunal.errors import TribunalError
from tribunal.transport import faults
from tribunal.transport.grpc_fork import require_poller
from tribunal.transport.grpc_wire import (
    COMPRESSION,
    STREAM_HEADERS,
    inference_request,
    open_channel,
    output_tensor,
    stream_request,
    streamed_piece,
    translated_errors,
)
from tribunal.transport.interface import AsyncTransport, ModelConfig, Tensor, Tensors, Transport
from tribunal.transport.proxy import Proxy
from tribunal.transport.tls import tls_context
from tribunal.transport.trace_context import carried_headers


def open_grpc(address: Address, connection: Connection, proxy: Proxy | None) -> Transport:
    """A connection for the synchronous client; raises InvalidInput for a file or an address that is none."""
    return _GrpcTransport(address, connection, proxy)


def open_async_grpc(address: Address, connection: Connection, proxy: Proxy | None) -> AsyncTransport:
    """A connection for the asyncio client; raises InvalidInput for a file or an address that is none."""
    return _AsyncGrpcTransport(address, connection, proxy)


class _Calls:
    """The stub of a channel, and the options of each call."""

    def __init__(self, api: Any, address: Address, connection: Connection, proxy: Proxy | None) -> None:
        if address.is_tls:
            tls_context(connection)
        self.url = address.url
        self.channel = open_channel(api, address, connection, proxy)
        self.stub = GRPCInferenceServiceStub(self.channel)
        # gRPC takes the values of names that end in -bin as bytes.
        self._headers = tuple(
            (name, value.encode() if name.endswith("-bin") else value)
            for name, value in connection.lowercase_headers.items()
        )
        self._compression = COMPRESSION[connection.compression]
        self.common = {"metadata": self._headers}
        self._is_closed = False

    @property
    def inference(self) -> dict[str, Any]:
        """Options of one inference."""
        return {"metadata": (*self._headers, *carried_headers()), "compression": self._compression}

    @property
    def streaming(self) -> dict[str, Any]:
        """Options of one stream."""
        inference = self.inference
        return {**inference, "metadata": (*inference["metadata"], *STREAM_HEADERS.items())}

    def close(self) -> Any:
        """Close the channel; of `grpc.aio` an awaitable."""
        self._is_closed = True
        return self.channel.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Convert gRPC's errors to TribunalErrors or TimeoutError, also those of a closed channel."""
        try:
            with translated_errors(self.url):
                yield
        except (ValueError, grpc.aio.UsageError, TribunalError) as error:
            if self._is_closed:
                raise faults.closed_client() from error
            raise
        except asyncio.CancelledError as error:
            # A closed channel cancels its calls, although nobody cancelled the task.
            task = asyncio.current_task()
            if self._is_closed and task is not None and not task.cancelling():
                raise faults.closed_client() from error
            raise


class _GrpcTransport(Transport):
    """The synchronous client's transport; thread-safe."""

    def __init__(self, address: Address, connection: Connection, proxy: Proxy | None) -> None:
        self._calls = _Calls(grpc, address, connection, proxy)
        self._url = address.url

    def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        request = inference_request(model, inputs, output)
        with self._calls.translated():
            answer = self._calls.stub.ModelInfer(request, timeout=timeout_s, **self._calls.inference)
        return output_tensor(answer, output)

    def stream(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Generator[Tensor]:
        requests = iter([stream_request(model, inputs, output)])
        with self._calls.translated():
            answers = self._calls.stub.ModelStreamInfer(requests, timeout=timeout_s, **self._calls.streaming)
        try:
            with self._calls.translated():
                for answer in answers:
                    piece, is_final = streamed_piece(answer, output)
                    if piece is not None:
                        yield piece
                    if is_final:
                        return
            raise faults.incomplete_answer(self._url)
        finally:
            answers.cancel()

    def version(self, timeout_s: float) -> str:
        return str(self._call("ServerMetadata", service_pb2.ServerMetadataRequest(), timeout_s).version)

    def models(self, timeout_s: float) -> list[str]:
        statistics = self._call("ModelStatistics", service_pb2.ModelStatisticsRequest(), timeout_s)
        return [model.name for model in statistics.model_stats]

    def is_ready(self, model: str, timeout_s: float) -> bool:
        return bool(self._call("ModelReady", service_pb2.ModelReadyRequest(name=model), timeout_s).ready)

    def close(self) -> None:
        self._calls.close()

    def _call(self, method: str, request: Any, timeout_s: float) -> Any:
        with self._calls.translated():
            return getattr(self._calls.stub, method)(request, timeout=timeout_s, **self._calls.common)


class _AsyncGrpcTransport(AsyncTransport):
    """The asyncio client's transport."""

    def __init__(self, address: Address, connection: Connection, proxy: Proxy | None) -> None:
        require_poller()
        self._calls = _Calls(grpc.aio, address, connection, proxy)
        self._url = address.url

    async def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        request = inference_request(model, inputs, output)
        with self._calls.translated():
            answer = await self._calls.stub.ModelInfer(request, timeout=timeout_s, **self._calls.inference)
        return output_tensor(answer, output)

    async def stream(
        self, model: str, inputs: Tensors, output: str, timeout_s: float
    ) -> AsyncGenerator[Tensor]:
        requests = iter([stream_request(model, inputs, output)])
        with self._calls.translated():
            answers = self._calls.stub.ModelStreamInfer(requests, timeout=timeout_s, **self._calls.streaming)
        try:
            with self._calls.translated():
                async for answer in answers:
                    piece, is_final = streamed_piece(answer, output)
                    if piece is not None:
                        yield piece
                    if is_final:
                        return
            raise faults.incomplete_answer(self._url)
        finally:
            answers.cancel()

    async def version(self, timeout_s: float) -> str:
        metadata = await self._call("ServerMetadata", service_pb2.ServerMetadataRequest(), timeout_s)
        return str(metadata.version)

    async def models(self, timeout_s: float) -> list[str]:
        statistics = await self._call("ModelStatistics", service_pb2.ModelStatisticsRequest(), timeout_s)
        return [model.name for model in statistics.model_stats]

    async def config(self, model: str, timeout_s: float) -> ModelConfig:
        answer = await self._call("ModelConfig", service_pb2.ModelConfigRequest(name=model), timeout_s)
        return dict(MessageToDict(answer.config, preserving_proto_field_name=True))

    async def is_ready(self, model: str, timeout_s: float) -> bool:
        readiness = await self._call("ModelReady", service_pb2.ModelReadyRequest(name=model), timeout_s)
        return bool(readiness.ready)

    async def close(self) -> None:
        await self._calls.close()

    async def _call(self, method: str, request: Any, timeout_s: float) -> Any:
        with self._calls.translated():
            return await getattr(self._calls.stub, method)(request, timeout=timeout_s, **self._calls.common)
