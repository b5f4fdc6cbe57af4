"""The KServe protocol over gRPC, as Triton's own clients and `tribunal.Client` speak it."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import serialize_byte_tensor

from tribunal.contract import JUDGE, JUDGEMENT, MANIFEST, MODERATION, STREAM, TEXT
from tribunal.gateway.authentication import Doorkeeper
from tribunal.gateway.dialect import Policies
from tribunal.gateway.dialects.kserve import read_binary
from tribunal.gateway.errors import GatewayError, invalid
from tribunal.gateway.keys import Caller
from tribunal.gateway.kserve import (
    MODELS,
    OUTPUTS,
    Tensor,
    manifest_document,
    output_tensors,
    read_question,
    require_model,
    require_outputs,
    require_tensor,
)
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.moderator import Moderator

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
# grpc.aio.ServicerContext, which has no types.
Context = Any


class GrpcService(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """`moderation` and `manifest` answer once, and `judge` streams; health and names beside them.

    What a method raises as GatewayError ends the call with its status. Methods that are not here are
    answered with UNIMPLEMENTED: nothing that administers Triton is passed on.
    """

    def __init__(
        self, moderator: Moderator, doorkeeper: Doorkeeper, policies: Callable[[], Policies], metrics: Metrics
    ) -> None:
        self._moderator = moderator
        self._doorkeeper = doorkeeper
        self._policies = policies
        self._metrics = metrics

    async def ModelInfer(self, request: Any, context: Context) -> Any:
        """Verdicts, or the manifest."""
        async with self._answering(context, "ModelInfer") as caller:
            require_model(request.model_name, (MODERATION, MANIFEST))
            if request.model_name == MANIFEST:
                document = manifest_document(await self._moderator.info())
                outputs = {MANIFEST: np.array([document], np.object_)}
                return infer_response(request, outputs, {MANIFEST: "BYTES"})
            names = require_outputs(output_names(request))
            question = read_question(read_rows(request))
            options = question.options(self._policies().of(caller, None))
            tensors = output_tensors(await self._moderator.moderate(question.texts, options, caller))
            return infer_response(request, {name: tensors[name] for name in names}, OUTPUTS)

    async def ModelStreamInfer(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        """The judge's answers, one request of the stream after the other."""
        async with self._answering(context, "ModelStreamInfer") as caller:
            async for request in requests:
                require_model(request.model_name, (JUDGE,))
                async for piece in self._moderator.stream_reason(read_judged_text(request), caller):
                    outputs = {JUDGEMENT: np.array([piece.encode()], np.object_)}
                    response = infer_response(request, outputs, {JUDGEMENT: "BYTES"})
                    response.parameters["triton_final_response"].bool_param = False
                    yield messages.ModelStreamInferResponse(infer_response=response)
                final = infer_response(request, {}, {})
                final.parameters["triton_final_response"].bool_param = True
                yield messages.ModelStreamInferResponse(infer_response=final)

    async def ModelReady(self, request: Any, context: Context) -> Any:
        """Whether a model that callers reach is ready."""
        async with self._answering(context, "ModelReady"):
            if request.name == MODERATION:
                return messages.ModelReadyResponse(ready=await self._moderator.is_ready())
            require_model(request.name)
            models = (await self._moderator.info()).models
            return messages.ModelReadyResponse(ready=models.get(request.name, False))

    async def ModelStatistics(self, request: Any, context: Context) -> Any:  # noqa: ARG002
        """The names of the models that callers reach and that are served."""
        async with self._answering(context, "ModelStatistics"):
            served = (await self._moderator.info()).models
            names = [messages.ModelStatistics(name=name) for name in MODELS if name in served]
            return messages.ModelStatisticsResponse(model_stats=names)

    async def ServerMetadata(self, request: Any, context: Context) -> Any:  # noqa: ARG002
        """Name and version of the server behind."""
        async with self._answering(context, "ServerMetadata"):
            version = (await self._moderator.info()).triton_version
            return messages.ServerMetadataResponse(name="triton", version=version)

    async def ServerLive(self, request: Any, context: Context) -> Any:  # noqa: ARG002
        """Whether the gateway runs; needs no key."""
        return messages.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Context) -> Any:  # noqa: ARG002
        """Whether the server behind gives verdicts; needs no key."""
        return messages.ServerReadyResponse(ready=await self._moderator.is_ready())

    @asynccontextmanager
    async def _answering(self, context: Context, method: str) -> AsyncIterator[Caller]:
        """Let the caller in, turn errors into statuses, and log and count the call."""
        started_s = time.monotonic()
        name, status = "-", "CANCELLED"
        try:
            caller = self._doorkeeper.admit(key_of(context), address_of(context))
            name = caller.name
            yield caller
            status = "OK"
        except GatewayError as error:
            code = STATUS.get(error.status, grpc.StatusCode.UNAVAILABLE)
            status = code.name
            headers = tuple((key.lower(), value) for key, value in error.headers.items())
            await context.abort(code, error.message, headers)
        except Exception:
            status = "INTERNAL"
            raise
        finally:
            duration_s = time.monotonic() - started_s
            self._metrics.requests.labels(DIALECT, name, status).inc()
            self._metrics.durations.labels(DIALECT).observe(duration_s)
            log.info(
                "%s caller=%s gRPC %s %s %.1f ms",
                address_of(context),
                name,
                method,
                status,
                1000 * duration_s,
            )


def address_of(context: Context) -> str:
    """The address that a call comes from, without its port."""
    return str(context.peer()).rpartition(":")[0]


def key_of(context: Context) -> str | None:
    """The bearer token of a call."""
    metadata = dict(context.invocation_metadata() or ())
    scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def output_names(request: Any) -> list[str]:
    """The outputs that are asked for, without options; raises GatewayError 400."""
    if any(output.parameters for output in request.outputs):
        raise invalid("outputs take no parameters here", "outputs")
    return [output.name for output in request.outputs]


def read_rows(request: Any) -> dict[str, list[Any]]:
    """Rows of each input, bytes of BYTES and bool of BOOL; raises GatewayError 400."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise invalid(f"{len(request.inputs)} inputs and {len(raw)} raw contents", "inputs")
    rows: dict[str, list[Any]] = {}
    for index, tensor in enumerate(request.inputs):
        name = tensor.name
        batch = require_tensor(name, tensor.datatype, tensor.shape)
        values = _values(tensor, raw[index] if raw else None)
        if tensor.parameters or name in rows or len(values) != batch:
            raise invalid(f"input {name} has {len(values)} values for shape {list(tensor.shape)}", name)
        rows[name] = values
    return rows


def read_judged_text(request: Any) -> str:
    """The text of a request for `judge`, BYTES [1]; raises GatewayError 400.

    `stream` BOOL [1] may come with it; the answer is streamed in any case.
    """
    raw = request.raw_input_contents
    for index, tensor in enumerate(request.inputs):
        datatype = {TEXT: "BYTES", STREAM: "BOOL"}.get(tensor.name)
        if datatype is None or tensor.datatype != datatype or list(tensor.shape) != [1]:
            raise invalid(f"judge takes {TEXT} BYTES [1] and {STREAM} BOOL [1]", tensor.name[:80])
        if tensor.name == TEXT:
            values = _values(tensor, raw[index] if index < len(raw) else None)
            if len(values) != 1:
                raise invalid(f"input {TEXT} has {len(values)} values for shape [1]", TEXT)
            return read_question({TEXT: values}).texts[0]
    raise invalid(f"input {TEXT} is missing", TEXT)


def infer_response(request: Any, outputs: Mapping[str, Tensor], datatypes: Mapping[str, str]) -> Any:
    """The answer with these outputs, in the binary form."""
    response = messages.ModelInferResponse(
        model_name=request.model_name, model_version="1", id=request.id[:256]
    )
    for name, tensor in outputs.items():
        response.outputs.add(name=name, datatype=datatypes[name], shape=tensor.shape)
        content = serialize_byte_tensor(tensor).item() if tensor.dtype == np.object_ else tensor.tobytes()
        response.raw_output_contents.append(content)
    return response


def _values(tensor: Any, raw: bytes | None) -> list[Any]:
    if raw is not None:
        return read_binary(tensor.name, tensor.datatype, raw)
    contents = tensor.contents
    return list(contents.bool_contents if tensor.datatype == "BOOL" else contents.bytes_contents)
