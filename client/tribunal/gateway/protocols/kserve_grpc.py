"""The KServe protocol over gRPC, as Triton's own clients and `tribunal.Client` speak it.

grpc's threads receive the calls, and the event loop that also serves HTTP answers them. grpc's own asyncio
server stops for good when a path is not UTF-8 (grpcio 1.85), so callers must not reach it.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

import grpc
import numpy as np
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2 as messages

from tribunal.contract import JUDGE, JUDGEMENT, MANIFEST, MODERATION
from tribunal.gateway.admission.authentication import bearer_token
from tribunal.gateway.admission.grpc_address import CallerAddresses
from tribunal.gateway.caller import Caller
from tribunal.gateway.errors import GatewayError, overloaded
from tribunal.gateway.moderation.waits import HEADER, waiting
from tribunal.gateway.protocols.grpc_messages import (
    infer_response,
    output_names,
    parse,
    read_judged_text,
    read_rows,
)
from tribunal.gateway.protocols.kserve import (
    MODELS,
    OUTPUTS,
    VERSION,
    manifest_document,
    model_config,
    model_metadata,
    output_tensors,
    read_texts,
    require_model,
    require_outputs,
    require_version,
)
from tribunal.gateway.state import GatewayState
from tribunal.transport.trace_context import trace_context

log = logging.getLogger("tribunal.gateway.access")
STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
DIALECT = "grpc"
SERVICE = "/inference.GRPCInferenceService/"
# Each call occupies a thread until it is answered.
MAX_CALLS = 512
# Limit for one caller, so that none can take all threads.
MAX_CALLS_OF_CALLER = 256
# From a call's headers to its first message; short compared with a deadline.
FIRST_MESSAGE_TIMEOUT_S = 10.0
# An open stream occupies a thread even when it is idle.
MAX_STREAMS = 128
Result = TypeVar("Result")


@dataclass(frozen=True)
class Method:
    """A unary method. Health checks need no key."""

    answer: Callable[[Any, Caller], Awaitable[Any]]
    request: Any
    needs_key: bool = True


class GrpcService(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Serves `moderation` and `manifest` (unary), `judge` (streaming), health checks and model names.

    A GatewayError ends the call with its status. All other methods, such as those that administer Triton,
    are UNIMPLEMENTED. Create it in the event loop that serves.
    """

    def __init__(self, gateway: GatewayState, addresses: CallerAddresses) -> None:
        self._gateway = gateway
        self._addresses = addresses
        self._moderator = gateway.moderator
        self._loop = asyncio.get_running_loop()
        self._streams = BoundedSemaphore(MAX_STREAMS)
        self._calls: Counter[str] = Counter()
        self._counting = Lock()
        self._methods = {
            "ModelInfer": Method(self._infer, messages.ModelInferRequest),
            "ModelReady": Method(self._model_ready, messages.ModelReadyRequest),
            "ModelStatistics": Method(self._statistics, messages.ModelStatisticsRequest),
            "ModelMetadata": Method(self._model_metadata, messages.ModelMetadataRequest),
            "ModelConfig": Method(self._model_config, messages.ModelConfigRequest),
            "ServerMetadata": Method(self._metadata, messages.ServerMetadataRequest),
            "ServerLive": Method(self._live, messages.ServerLiveRequest, needs_key=False),
            "ServerReady": Method(self._ready, messages.ServerReadyRequest, needs_key=False),
        }

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a call; None for an unknown method."""
        service, _, name = handler_call_details.method.rpartition("/")
        if f"{service}/" != SERVICE:
            return None
        if name == "ModelStreamInfer":
            return grpc.stream_stream_rpc_method_handler(self._stream)
        if name not in self._methods:
            return None
        method = self._methods[name]
        # Read as a stream, because grpc waits without limit for the request of a unary call.
        return grpc.stream_unary_rpc_method_handler(
            lambda requests, context: self._answer(name, method, requests, context)
        )

    def _answer(self, name: str, method: Method, requests: Iterator[bytes], context: Any) -> bytes:
        with self._answering(context, name, needs_key=method.needs_key) as caller:
            raw = next(self._arriving(requests, context), b"")
            answer = method.answer(parse(method.request, raw), caller)
            content: bytes = self._await(answer, context).SerializeToString()
            return content

    def _stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """The judge's answers to the requests of the stream, in sequence."""
        with self._answering(context, "ModelStreamInfer") as caller:
            if not self._streams.acquire(blocking=False):
                raise overloaded(1.0)
            try:
                for raw in self._arriving(requests, context):
                    pieces = self._judge(raw, caller)
                    try:
                        while (piece := self._await(anext(pieces, None), context)) is not None:
                            yield piece
                    finally:
                        asyncio.run_coroutine_threadsafe(pieces.aclose(), self._loop)  # type: ignore[attr-defined]
            finally:
                self._streams.release()

    def _arriving(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """Each request of a call; cancels the call when it is idle for too long.

        Raises CancelledError when the caller disconnects.
        """
        timeout_s = FIRST_MESSAGE_TIMEOUT_S
        while True:
            silence = asyncio.run_coroutine_threadsafe(_cancel_after(timeout_s, context), self._loop)
            try:
                request = next(requests, None)
            except grpc.RpcError as error:
                raise CancelledError from error
            finally:
                silence.cancel()
            if request is None:
                return
            yield request
            timeout_s = self._gateway.settings.timeout_s

    @contextmanager
    def _place(self, queue: str) -> Iterator[None]:
        """Count a call in flight; raises GatewayError 429 if the caller has too many."""
        with self._counting:
            if self._calls[queue] >= MAX_CALLS_OF_CALLER:
                raise overloaded(1.0)
            self._calls[queue] += 1
        try:
            yield
        finally:
            with self._counting:
                self._calls[queue] -= 1
                if not self._calls[queue]:
                    del self._calls[queue]

    def _await(self, answer: Awaitable[Result], context: Any) -> Result:
        """The result from the event loop; cancelled when the caller disconnects."""

        async def answered() -> Result:
            return await answer

        future = asyncio.run_coroutine_threadsafe(answered(), self._loop)
        if not context.add_callback(future.cancel):
            future.cancel()
        return future.result()

    @contextmanager
    def _answering(self, context: Any, method: str, *, needs_key: bool = True) -> Iterator[Caller]:
        """Authenticate the caller, map errors to statuses, and log and count the call."""
        started_s = time.monotonic()
        name, status = "-", grpc.StatusCode.CANCELLED
        address = self._addresses.of(context.peer(), context.invocation_metadata() or ())
        try:
            caller = Caller("-", address=address)
            if needs_key:
                caller = self._gateway.authenticator.identify(key_of(context), address)
                name = caller.name
                self._gateway.authenticator.count(caller)
                self._moderator.require_room(caller)
            headers = {key: str(value) for key, value in context.invocation_metadata() or ()}
            with self._place(caller.queue), trace_context(headers), waiting() as wait:
                yield caller
            if wait.header:
                context.set_trailing_metadata(((HEADER.lower(), wait.header),))
            status = grpc.StatusCode.OK
        except CancelledError:
            context.abort(grpc.StatusCode.CANCELLED, "the client disconnected")
        except GatewayError as error:
            status = STATUS.get(error.status, grpc.StatusCode.UNAVAILABLE)
            context.set_trailing_metadata(tuple((key.lower(), value) for key, value in error.headers.items()))
            context.abort(status, error.message)
        except Exception:
            status = grpc.StatusCode.INTERNAL
            log.exception("gRPC %s", method)
            context.abort(status, "the gateway failed; see its log")
        finally:
            duration_s = time.monotonic() - started_s
            self._gateway.metrics.requests.labels(DIALECT, name, status.name).inc()
            self._gateway.metrics.durations.labels(DIALECT).observe(duration_s)
            log.info("%s caller=%s gRPC %s %s %.1f ms", address, name, method, status.name, 1000 * duration_s)

    async def _infer(self, request: Any, caller: Caller) -> Any:
        require_version(request.model_version)
        require_model(request.model_name, (MODERATION, MANIFEST))
        if request.model_name == MANIFEST:
            document = manifest_document(await self._moderator.info())
            return infer_response(request, {MANIFEST: np.array([document], np.object_)}, {MANIFEST: "BYTES"})
        names = require_outputs(output_names(request))
        rows = read_texts(read_rows(request))
        options = rows.options(self._gateway.policies.of(caller, None))
        tensors = output_tensors(await self._moderator.moderate(rows.texts, options, caller))
        return infer_response(request, {name: tensors[name] for name in names}, OUTPUTS)

    async def _judge(self, raw: bytes, caller: Caller) -> AsyncIterator[bytes]:
        """The answers to one request of a stream, and the final response."""
        request = parse(messages.ModelInferRequest, raw)
        require_model(request.model_name, (JUDGE,))
        require_version(request.model_version)
        async for piece in self._moderator.stream_reason(read_judged_text(request), caller):
            outputs = {JUDGEMENT: np.array([piece.encode()], np.object_)}
            yield _part(infer_response(request, outputs, {JUDGEMENT: "BYTES"}), is_final=False)
        yield _part(infer_response(request, {}, {}), is_final=True)

    async def _model_metadata(self, request: Any, _caller: Caller) -> Any:
        require_model(request.name)
        require_version(request.version)
        return ParseDict(model_metadata(request.name), messages.ModelMetadataResponse())

    async def _model_config(self, request: Any, _caller: Caller) -> Any:
        require_model(request.name)
        require_version(request.version)
        return ParseDict({"config": model_config(request.name)}, messages.ModelConfigResponse())

    async def _model_ready(self, request: Any, _caller: Caller) -> Any:
        require_version(request.version)
        if request.name == MODERATION:
            return messages.ModelReadyResponse(ready=await self._moderator.is_ready())
        require_model(request.name)
        models = (await self._moderator.info()).models
        return messages.ModelReadyResponse(ready=models.get(request.name, False))

    async def _statistics(self, request: Any, _caller: Caller) -> Any:
        """The served models that callers can reach, or one, without figures, which tell of other callers."""
        if request.name:
            require_model(request.name)
            require_version(request.version)
        served = (await self._moderator.info()).models
        names = (request.name,) if request.name else MODELS
        found = [messages.ModelStatistics(name=name, version=VERSION) for name in names if name in served]
        return messages.ModelStatisticsResponse(model_stats=found)

    async def _metadata(self, _request: Any, _caller: Caller) -> Any:
        version = (await self._moderator.info()).triton_version
        return messages.ServerMetadataResponse(name="triton", version=version)

    async def _live(self, _request: Any, _caller: Caller) -> Any:
        return messages.ServerLiveResponse(live=True)

    async def _ready(self, _request: Any, _caller: Caller) -> Any:
        return messages.ServerReadyResponse(ready=await self._moderator.is_ready())


def grpc_server(gateway: GatewayState, address: str, trusted_proxies: list[str] | str) -> Any:
    """A gRPC server bound to `address`, not started yet; raises OSError if it cannot listen.

    trusted_proxies: proxies whose `x-forwarded-for` is trusted.
    """
    server = grpc.server(
        ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="grpc"),
        handlers=[GrpcService(gateway, CallerAddresses(trusted_proxies))],
        options=[
            ("grpc.max_receive_message_length", gateway.settings.max_body_bytes),
            ("grpc.so_reuseport", 0),
            ("grpc.max_concurrent_streams", MAX_CALLS_OF_CALLER),
        ],
        maximum_concurrent_rpcs=MAX_CALLS,
    )
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"gRPC cannot listen at {address}: {error}") from error
    return server


def key_of(context: Any) -> str | None:
    """The bearer token of a call."""
    metadata = dict(context.invocation_metadata() or ())
    return bearer_token(str(metadata.get("authorization", "")))


async def _cancel_after(timeout_s: float, context: Any) -> None:
    await asyncio.sleep(timeout_s)
    context.cancel()


def _part(response: Any, *, is_final: bool) -> bytes:
    response.parameters["triton_final_response"].bool_param = is_final
    content: bytes = messages.ModelStreamInferResponse(infer_response=response).SerializeToString()
    return content
