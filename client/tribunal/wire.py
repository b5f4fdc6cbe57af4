"""What the transports of both clients share: options of tritonclient's clients, tensors in and out."""

import ssl
from typing import Any

import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import np_to_triton_dtype

from tribunal.connection import Address, Connection
from tribunal.errors import InvalidInput, ServerError
from tribunal.messages import Tensor, Tensors

# Errors of a stream come with their status; Triton otherwise puts their text alone in an answer.
STREAM_HEADERS = {"triton_grpc_error": "true"}


def grpc_options(address: Address, connection: Connection) -> dict[str, Any]:
    """Options of a gRPC client, asyncio's or the other."""
    files = {name: str(path) for name, path in connection.tls_files.items()}
    return {
        "url": address.host,
        "ssl": address.is_tls,
        "root_certificates": files.get("ca_file"),
        "private_key": files.get("key_file"),
        "certificate_chain": files.get("cert_file"),
        "channel_args": [
            ("grpc.max_send_message_length", connection.max_message_bytes),
            ("grpc.max_receive_message_length", connection.max_message_bytes),
            # gRPC otherwise waits longer and longer, up to minutes, before it connects anew.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ],
    }


def grpc_inference(model: str, inputs: Tensors, output: str) -> dict[str, Any]:
    """Arguments of one inference over gRPC."""
    return {
        "model_name": model,
        "inputs": _input_tensors(tritonclient.grpc.InferInput, inputs),
        "outputs": [tritonclient.grpc.InferRequestedOutput(output)],
    }


def http_inference(model: str, inputs: Tensors, output: str, connection: Connection) -> dict[str, Any]:
    """Arguments of one inference over HTTP."""
    return {
        "model_name": model,
        "inputs": _input_tensors(tritonclient.http.InferInput, inputs),
        "outputs": [tritonclient.http.InferRequestedOutput(output)],
        "headers": connection.lowercase_headers,
        "request_compression_algorithm": connection.compression,
        "response_compression_algorithm": connection.compression,
    }


def tls_context(connection: Connection) -> ssl.SSLContext:
    """What HTTPS trusts and shows; raises InvalidInput where a file holds no certificate or key."""
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
        if connection.cert_file and connection.key_file:
            context.load_cert_chain(connection.cert_file, connection.key_file)
    except ssl.SSLError as error:
        files = ", ".join(f"{name} {str(path)!r}" for name, path in connection.tls_files.items())
        raise InvalidInput(f"cannot be read as PEM: {files} ({error.reason})") from error
    return context


def no_stream(url: str) -> InvalidInput:
    """The error of a stream over HTTP."""
    return InvalidInput(f"streaming needs gRPC, and {url} is HTTP: give host:port")


def output_tensor(result: Any, output: str) -> Tensor:
    """The tensor `output` of tritonclient's `result`; raises ServerError where it has none."""
    values: Tensor | None = result.as_numpy(output)
    if values is None:
        raise ServerError(f"the server's answer lacks {output}; are client and server of the same version?")
    return values


def _input_tensors(tensor_type: type[Any], inputs: Tensors) -> list[Any]:
    tensors = []
    for name, values in inputs.items():
        tensor = tensor_type(name, list(values.shape), np_to_triton_dtype(values.dtype))
        tensor.set_data_from_numpy(values)
        tensors.append(tensor)
    return tensors
