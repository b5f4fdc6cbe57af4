"""The KServe protocol over HTTP, with its binary extension: `/v2/...`, as Triton's own clients speak it."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from tribunal.contract import MANIFEST, MODERATION, JudgeMode
from tribunal.gateway.errors import GatewayError, first_fault, invalid
from tribunal.gateway.moderation.moderator import Options
from tribunal.gateway.protocols.dialect import CallerOf, Dialect, ModeratorOf, PoliciesOf
from tribunal.gateway.protocols.json_body import JsonRoute, read_json
from tribunal.gateway.protocols.kserve import (
    MODELS,
    OUTPUTS,
    VERSION,
    Tensor,
    manifest_document,
    model_config,
    model_metadata,
    output_tensors,
    read_texts,
    require_model,
    require_outputs,
    require_tensor,
    require_version,
)

router = APIRouter(tags=["kserve"], route_class=JsonRoute)
# Triton's status for a model that is not ready, which clients rely on.
NOT_READY = 400
HEADER_LENGTH = "inference-header-content-length"
Row = str | bool


async def _version(request: Request) -> None:
    require_version(request.path_params.get("version", ""))


VersionOf = Annotated[None, Depends(_version)]


class InputParameters(BaseModel):
    """binary_data_size: bytes of this input after the JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    binary_data_size: int | None = None


class Input(BaseModel):
    """One input; its data is here or after the JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    datatype: str
    shape: list[int]
    data: list[Row | list[Row]] | None = None
    parameters: InputParameters = InputParameters()


class OutputParameters(BaseModel):
    """binary_data: whether to send the output after the JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    binary_data: bool | None = None


class Output(BaseModel):
    """A requested output."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    parameters: OutputParameters = OutputParameters()


class RequestParameters(BaseModel):
    """binary_data_output: default of the outputs' `binary_data`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    binary_data_output: bool = False


class InferRequest(BaseModel):
    """A request for inference."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = ""
    inputs: list[Input] = []
    outputs: list[Output] = []
    parameters: RequestParameters = RequestParameters()


@router.get("/v2")
async def server_metadata(moderator: ModeratorOf) -> dict[str, Any]:
    """Name and version of the server behind the gateway."""
    return {
        "name": "triton",
        "version": (await moderator.info()).triton_version,
        "extensions": ["binary_tensor_data"],
    }


@router.get("/v2/health/live")
@router.head("/v2/health/live", include_in_schema=False)
async def live() -> Response:
    """Whether the gateway runs."""
    return Response()


@router.get("/v2/health/ready")
@router.head("/v2/health/ready", include_in_schema=False)
async def ready(moderator: ModeratorOf) -> Response:
    """Whether the server behind the gateway gives verdicts."""
    return Response(status_code=200 if await moderator.is_ready() else 503)


@router.get("/v2/models/moderation/ready")
@router.get("/v2/models/moderation/versions/{version}/ready", include_in_schema=False)
async def moderation_ready(moderator: ModeratorOf, _version: VersionOf) -> Response:
    """Whether the ensemble that gives verdicts is ready."""
    return Response(status_code=200 if await moderator.is_ready() else NOT_READY)


@router.get("/v2/models/stats")
async def statistics(moderator: ModeratorOf) -> dict[str, Any]:
    """The served models that callers can reach, without figures, which tell of other callers."""
    served = (await moderator.info()).models
    return {"model_stats": [{"name": name, "version": VERSION} for name in MODELS if name in served]}


@router.get("/v2/models/{model}/stats")
@router.get("/v2/models/{model}/versions/{version}/stats", include_in_schema=False)
async def model_statistics(model: str, _version: VersionOf) -> dict[str, Any]:
    """The same for one model."""
    require_model(model)
    return {"model_stats": [{"name": model, "version": VERSION}]}


@router.get("/v2/models/{model}")
@router.get("/v2/models/{model}/versions/{version}", include_in_schema=False)
async def metadata(model: str, _version: VersionOf) -> dict[str, Any]:
    """The inputs and outputs of a model that callers reach."""
    require_model(model)
    return model_metadata(model)


@router.get("/v2/models/{model}/config")
@router.get("/v2/models/{model}/versions/{version}/config", include_in_schema=False)
async def config(model: str, _version: VersionOf) -> dict[str, Any]:
    """The same, in the form of Triton's config."""
    require_model(model)
    return model_config(model)


@router.get("/v2/models/{model}/ready")
@router.get("/v2/models/{model}/versions/{version}/ready", include_in_schema=False)
async def model_ready(model: str, moderator: ModeratorOf, _version: VersionOf) -> Response:
    """Whether a model that callers reach is ready."""
    require_model(model)
    return Response(status_code=200 if (await moderator.info()).models.get(model) else NOT_READY)


@router.post("/v2/models/{model}/infer")
@router.post("/v2/models/{model}/versions/{version}/infer", include_in_schema=False)
async def infer(
    model: str,
    request: Request,
    moderator: ModeratorOf,
    caller: CallerOf,
    policies: PoliciesOf,
    _version: VersionOf,
) -> Response:
    """Verdicts as tensors. `judge` streams and so needs gRPC."""
    require_model(model, (MODERATION, MANIFEST))
    asked, binary = read_request(await request.body(), request.headers.get(HEADER_LENGTH))
    if model == MANIFEST:
        document = manifest_document(await moderator.info())
        outputs = {MANIFEST: np.array([document], np.object_)}
        datatypes = {MANIFEST: "BYTES"}
    else:
        names = require_outputs([output.name for output in asked.outputs])
        rows = read_texts(_rows(asked.inputs, binary))
        options = rows.options(policies.of(caller, None))
        tensors = output_tensors(await moderator.moderate(rows.texts, options, caller))
        outputs, datatypes = {name: tensors[name] for name in names}, OUTPUTS
    return answer(model, asked, outputs, datatypes)


class GenerateRequest(BaseModel):
    """One text, as JSON without tensors."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str
    judge: JudgeMode | None = None
    explain: bool | None = None
    spans: bool | None = None


@router.post("/v2/models/moderation/generate")
async def generate(
    request: GenerateRequest, moderator: ModeratorOf, caller: CallerOf, policies: PoliciesOf
) -> dict[str, Any]:
    """Verdict of one text as strict JSON: a missing score is null."""
    options = Options(policies.of(caller, None), request.judge, request.explain, request.spans)
    tensors = output_tensors(await moderator.moderate([request.text], options, caller))
    values = {name: _json_data(tensor) for name, tensor in tensors.items()}
    return {
        "model_name": MODERATION,
        "model_version": VERSION,
        **{name: value if name == "category_scores" else value[0] for name, value in values.items()},
    }


def read_request(body: bytes, header_length: str | None) -> tuple[InferRequest, bytes]:
    """The JSON of a request, and the bytes after it; raises GatewayError 400."""
    length = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdigit() and int(header_length[:12]) <= len(body)):
            raise invalid("Inference-Header-Content-Length is not the length of the JSON", HEADER_LENGTH)
        length = int(header_length[:12])
    try:
        return InferRequest.model_validate(read_json(body[:length])), body[length:]
    except ValidationError as error:
        raise first_fault(error.errors()) from error


def answer(
    model: str, asked: InferRequest, outputs: Mapping[str, Tensor], datatypes: Mapping[str, str]
) -> Response:
    """The response, with each output in the JSON or after it, as requested."""
    wanted = {output.name: output.parameters.binary_data for output in asked.outputs}
    described: list[dict[str, Any]] = []
    behind: list[bytes] = []
    for name, tensor in outputs.items():
        described.append({"name": name, "datatype": datatypes[name], "shape": list(tensor.shape)})
        is_binary = wanted.get(name)
        if asked.parameters.binary_data_output if is_binary is None else is_binary:
            content = serialize_byte_tensor(tensor).item() if tensor.dtype == np.object_ else tensor.tobytes()
            described[-1]["parameters"] = {"binary_data_size": len(content)}
            behind.append(content)
        else:
            described[-1]["data"] = _json_data(tensor)
    document: dict[str, Any] = {"model_name": model, "model_version": VERSION, "outputs": described}
    if asked.id:
        document["id"] = asked.id
    header = json.dumps(document, allow_nan=False).encode()
    if not behind:
        return Response(header, media_type="application/json")
    headers = {HEADER_LENGTH: str(len(header))}
    return Response(b"".join([header, *behind]), headers=headers, media_type="application/octet-stream")


def _rows(inputs: Sequence[Input], binary: bytes) -> dict[str, list[Any]]:
    """Rows of each input: bytes of BYTES, bool of BOOL."""
    rows: dict[str, list[Any]] = {}
    for tensor in inputs:
        batch = require_tensor(tensor.name, tensor.datatype, tensor.shape)
        size = tensor.parameters.binary_data_size
        if size is None:
            values: list[Any] = _flat(tensor)
        else:
            if not 0 <= size <= len(binary):
                raise invalid(
                    f"input {tensor.name} declares {size} bytes; {len(binary)} were sent", tensor.name
                )
            values, binary = read_binary(tensor.name, tensor.datatype, binary[:size]), binary[size:]
        if len(values) != batch or tensor.name in rows:
            raise invalid(
                f"input {tensor.name} has {len(values)} values for shape {tensor.shape}", tensor.name
            )
        rows[tensor.name] = values
    if binary:
        raise invalid(f"{len(binary)} bytes after the JSON belong to no input", "inputs")
    return rows


def read_binary(name: str, datatype: str, content: bytes) -> list[Any]:
    """Values of an input in the binary form; raises GatewayError 400."""
    if datatype == "BOOL":
        return [value != 0 for value in content]
    try:
        return [bytes(value) for value in deserialize_bytes_tensor(content)]
    except Exception as error:
        raise invalid(f"input {name}: the lengths of its values are wrong", name) from error


def _flat(tensor: Input) -> list[Any]:
    flat: list[Row] = []
    for row in tensor.data or ():
        flat.extend(row if isinstance(row, list) else [row])
    kind = bool if tensor.datatype == "BOOL" else str
    if not all(isinstance(value, kind) for value in flat):
        raise invalid(f"input {tensor.name}: each value must be a {kind.__name__}", tensor.name)
    try:
        return [value.encode() if isinstance(value, str) else value for value in flat]
    except UnicodeEncodeError as error:
        raise invalid(f"input {tensor.name} is not valid Unicode: {error.reason}", tensor.name) from error


def _json_data(tensor: Tensor) -> list[Any]:
    if tensor.dtype == np.object_:
        return [value.decode() for value in tensor.flat]
    # The shortest digits that represent an FP32 value exactly.
    if tensor.dtype == np.float32:
        return [None if np.isnan(value) else float(str(value)) for value in tensor.flat]
    return [value.item() for value in tensor.flat]


def error_document(error: GatewayError) -> dict[str, Any]:
    """The form of an error."""
    return {"error": error.message}


DIALECT = Dialect("kserve", ("/v2",), router, error_document)
