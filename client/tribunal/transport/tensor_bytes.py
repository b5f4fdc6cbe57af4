"""The bytes of tensors, for both protocols."""

import struct
from collections.abc import Sequence

import numpy as np
from tritonclient.utils import (
    deserialize_bytes_tensor,
    np_to_triton_dtype,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

from tribunal.errors import ServerError
from tribunal.transport.interface import Tensor


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
