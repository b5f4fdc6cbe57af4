"""The bytes of tensors, and TLS, for both protocols."""

import ssl
import struct
from collections.abc import Sequence

import numpy as np
from tritonclient.utils import (
    deserialize_bytes_tensor,
    np_to_triton_dtype,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

from tribunal.connection import Connection
from tribunal.errors import InvalidInput, ServerError
from tribunal.messages import Tensor


def datatype(values: Tensor) -> str:
    """Triton's name of the type of `values`, such as BYTES or FP32."""
    return str(np_to_triton_dtype(values.dtype))


def to_bytes(values: Tensor) -> bytes:
    """`values` in row-major order; each value of BYTES follows its length in 4 bytes."""
    if values.dtype != np.object_:
        return values.tobytes()
    return bytes(serialize_byte_tensor(values).item()) if values.size else b""


def from_bytes(raw: bytes, triton_type: str, shape: Sequence[int]) -> Tensor:
    """The tensor with the bytes `raw`; raises ServerError if they do not fit type and shape."""
    try:
        if triton_type == "BYTES":
            values: Tensor = deserialize_bytes_tensor(raw)
        else:
            values = np.frombuffer(raw, dtype=triton_to_np_dtype(triton_type))
        return values.reshape(tuple(shape))
    except (ValueError, TypeError, struct.error) as error:
        raise ServerError(
            f"the server's answer has a tensor of {len(raw)} bytes, which is not {triton_type} {list(shape)}"
        ) from error


def tls_context(connection: Connection) -> ssl.SSLContext:
    """The TLS context of the connection; raises InvalidInput if a file has no certificate or key."""
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
        if connection.cert_file and connection.key_file:
            context.load_cert_chain(connection.cert_file, connection.key_file)
    except ssl.SSLError as error:
        files = ", ".join(f"{name} {str(path)!r}" for name, path in connection.tls_files.items())
        raise InvalidInput(f"cannot be read as PEM: {files} ({error.reason})") from error
    return context
