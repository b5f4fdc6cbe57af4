"""KServe's protocol over gRPC: the channel, requests, responses, and status codes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from tritonclient.grpc import service_pb2

from tribunal.connection import Address, Connection
from tribunal.errors import InvalidInput, ServerError, TribunalError
from tribunal.transport import faults
from tribunal.transport.interface import Tensor, Tensors
from tribunal.transport.proxy import Proxy
from tribunal.transport.retries import retry_after_s
from tribunal.transport.tensor_bytes import datatype, from_bytes, to_bytes

# Errors of a stream come with their status; Triton otherwise puts their text alone in an answer.
STREAM_HEADERS = {"triton_grpc_error": "true"}
COMPRESSION = {
    None: grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}
# gRPC holds its limits in 32 bits.
MOST_BYTES = 2**31 - 1
FINAL = "triton_final_response"
# gRPC's messages in C, Go and Java; a full queue also has the status RESOURCE_EXHAUSTED.
MESSAGE_SIZE = re.compile(r"larger than max|exceeds maximum size")
# The first words of gRPC's reason for a failed connection.
NOT_CONNECTED = ("failed to connect", "connections to all backends failing", "errors resolving")


def channel_options(connection: Connection, proxy: Proxy | None) -> list[tuple[str, int | str]]:
    """Options of a channel of `grpc` or `grpc.aio`."""
    max_bytes = min(connection.max_message_bytes, MOST_BYTES)
    return [
        ("grpc.max_send_message_length", max_bytes),
        ("grpc.max_receive_message_length", max_bytes),
        # gRPC's default back-off before it reconnects grows to minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # Uses all addresses of a name, such as those of a headless service of Kubernetes.
        ("grpc.lb_policy_name", "round_robin"),
        # gRPC has rules of its own for the variables.
        ("grpc.enable_http_proxy", 0) if proxy is None else ("grpc.http_proxy", proxy.url),
    ]


def open_channel(api: Any, address: Address, connection: Connection, proxy: Proxy | None) -> Any:
    """Open a channel of `api`, which is `grpc` or `grpc.aio`."""
    options = channel_options(connection, proxy)
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
    """A request for the tensor `output` of `model`."""
    request = service_pb2.ModelInferRequest(model_name=model)
    request.outputs.add(name=output)
    for name, values in inputs.items():
        request.inputs.add(name=name, datatype=datatype(values), shape=values.shape)
        request.raw_input_contents.append(to_bytes(values))
    return request


def stream_request(model: str, inputs: Tensors, output: str) -> service_pb2.ModelInferRequest:
    """A request for the tensors `output` of the decoupled `model`, and for a final empty response."""
    request = inference_request(model, inputs, output)
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    return request


def output_tensor(response: service_pb2.ModelInferResponse, output: str) -> Tensor:
    """The tensor `output` of a response; raises ServerError if it is missing."""
    for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=False):
        if tensor.name == output:
            return from_bytes(raw, tensor.datatype, tensor.shape)
    raise faults.lacking_output(output)


def streamed_piece(answer: service_pb2.ModelStreamInferResponse, output: str) -> tuple[Tensor | None, bool]:
    """The tensor `output` of one response of a stream, or None, and whether the response is the last."""
    if answer.error_message:
        raise ServerError(answer.error_message)
    response = answer.infer_response
    is_final = response.parameters[FINAL].bool_param if FINAL in response.parameters else False
    return output_tensor(response, output) if response.outputs else None, is_final


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Convert gRPC's errors to TribunalErrors, which say what to do, or to TimeoutError."""
    try:
        yield
    except grpc.RpcError as error:
        raise _fault(error, url) from error


def _fault(error: Any, url: str) -> TribunalError | TimeoutError:
    """The client's error for `error`, a grpc.RpcError."""
    status, reason = error.code(), " ".join((error.details() or "").split())
    trailers = {key.lower(): value for key, value in error.trailing_metadata() or ()}
    pause_s = retry_after_s(trailers.get("retry-after"))
    match status:
        case grpc.StatusCode.INVALID_ARGUMENT:
            return faults.invalid_request(reason)
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
        case grpc.StatusCode.NOT_FOUND if faults.UNLOADED in reason:
            return faults.unavailable(url, reason)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimeoutError(reason)
        case _:
            return ServerError(reason or f"{url} failed with {status}")
