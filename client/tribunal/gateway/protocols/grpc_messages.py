"""Reads requests and builds responses of the KServe protocol over gRPC."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2 as messages
from tritonclient.utils import serialize_byte_tensor

from tribunal.contract import STREAM, TEXT
from tribunal.gateway.errors import invalid
from tribunal.gateway.protocols.kserve import Tensor, read_texts, require_tensor
from tribunal.gateway.protocols.kserve_http import read_binary


def parse(kind: Any, raw: bytes) -> Any:
    """The message of type `kind` in `raw`; raises GatewayError 400."""
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise invalid(f"the request is not a valid {kind.__name__}") from error


def output_names(request: Any) -> list[str]:
    """The requested outputs; raises GatewayError 400 for one with parameters."""
    if any(output.parameters for output in request.outputs):
        raise invalid("parameters of outputs are not supported", "outputs")
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

    The request may have `stream` BOOL [1]; the answer is always streamed.
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
            return read_texts({TEXT: values}).texts[0]
    raise invalid(f"input {TEXT} is missing", TEXT)


def infer_response(request: Any, outputs: Mapping[str, Tensor], datatypes: Mapping[str, str]) -> Any:
    """The response with these outputs, in binary form."""
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
