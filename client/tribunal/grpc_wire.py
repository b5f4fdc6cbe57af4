"""KServe's protocol over gRPC: the channel, the requests, the answers, and what a status means."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from tritonclient.grpc import service_pb2

from tribunal import faults
from tribunal.connection import Address, Connection
from tribunal.errors import InvalidInput, ServerError, TribunalError
from tribunal.messages import Tensor, Tensors
from tribunal.retries import retry_after_s
from tribunal.wire import datatype, from_bytes, to_bytes

# Errors of a stream come with their status; Triton otherwise puts their text alone in an answer.
STREAM_HEADERS = {"triton_grpc_error": "true"}
COMPRESSION = {
    None: grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}
FINAL = "triton_final_response"
# RESOURCE_EXHAUSTED is the status of a full queue too; C, Go and Java say so of a message.
MESSAGE_SIZE = re.compile(r"larger than max|exceeds maximum size")
# A model that is not found is the wrong server's, unless the server says so of one that it can load.
UNLOADED = "has no available versions"
# How gRPC begins the reason of a connection that did not come about.
NOT_CONNECTED = ("failed to connect", "connections to all backends failing", "errors resolving")


def channel_options(connection: Connection) -> list[tuple[str, int | str]]:
    """Options of a channel, asyncio's or the other."""
    return [
        ("grpc.max_send_message_length", connection.max_message_bytes),
        ("grpc.max_receive_message_length", connection.max_message_bytes),
        # gRPC otherwise waits longer and longer, up to minutes, before it connects again.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # A name of several addresses, as a headless service of Kubernetes has, is used whole.
        ("grpc.lb_policy_name", "round_robin"),
    ]


def open_channel(api: Any, address: Address, connection: Connection) -> Any:
    """A channel of `api`, which is `grpc` or `grpc.aio`."""
    options = channel_options(connection)
    if not address.is_tls:
        return api.insecure_channel(address.host, options)
    contents = {}
    for name, path in connection.tls_files.items():
        with open(path, "rb") as file:  # noqa: PTH123 - a path may be a str
            contents[name] = file.read()
    credentials = grpc.ssl_channel_credentials(
        contents.get("ca_file"), contents.get("key_file"), contents.get("cert_file")
    )
    return api.secure_channel(address.host, credentials, options)


def inference_request(model: str, inputs: Tensors, output: str) -> service_pb2.ModelInferRequest:
    """Asks `model` for its tensor `output`."""
    request = service_pb2.ModelInferRequest(model_name=model)
    request.outputs.add(name=output)
    for name, values in inputs.items():
        request.inputs.add(name=name, datatype=datatype(values), shape=values.shape)
        request.raw_input_contents.append(to_bytes(values))
    return request


def stream_request(model: str, inputs: Tensors, output: str) -> service_pb2.ModelInferRequest:
    """Asks the decoupled `model` for its tensors `output`, and for a mark after the last."""
    request = inference_request(model, inputs, output)
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    return request


def output_tensor(response: service_pb2.ModelInferResponse, output: str) -> Tensor:
    """The tensor `output` of an answer; raises ServerError if it has none."""
    for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=False):
        if tensor.name == output:
            return from_bytes(raw, tensor.datatype, tensor.shape)
    raise faults.lacking_output(output)


def streamed_piece(answer: service_pb2.ModelStreamInferResponse, output: str) -> tuple[Tensor | None, bool]:
    """The tensor `output` of one answer of a stream, where it has one, and whether it is the last."""
    if answer.error_message:
        raise ServerError(answer.error_message)
    response = answer.infer_response
    is_final = response.parameters[FINAL].bool_param if FINAL in response.parameters else False
    return output_tensor(response, output) if response.outputs else None, is_final


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Turn the errors of gRPC into TribunalErrors that say what to do, or TimeoutError."""
    try:
        yield
    except grpc.RpcError as error:
        raise _fault(error, url) from error


def _fault(error: Any, url: str) -> TribunalError | TimeoutError:
    """What `error`, a grpc.RpcError, means for a caller."""
    status, reason = error.code(), " ".join((error.details() or "").split())
    trailers = {key.lower(): value for key, value in error.trailing_metadata() or ()}
    pause_s = retry_after_s(trailers.get("retry-after"))
    match status:
        case grpc.StatusCode.INVALID_ARGUMENT:
            return faults.refused(reason)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            if MESSAGE_SIZE.search(reason):
                return InvalidInput(reason)
            return faults.overloaded(url, reason, pause_s)
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return faults.access_denied(url, reason)
        case grpc.StatusCode.UNAVAILABLE if reason.startswith(NOT_CONNECTED):
            return faults.no_connection(url, reason)
        case grpc.StatusCode.UNAVAILABLE:
            return faults.unavailable(url, reason, pause_s)
        case grpc.StatusCode.NOT_FOUND if UNLOADED in reason:
            return faults.unavailable(url, reason)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimeoutError(reason)
        case _:
            return ServerError(reason or f"{url} failed with {status}")
