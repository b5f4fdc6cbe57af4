"""KServe's protocol over HTTP with Triton's binary tensors: requests, responses, and status codes."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tribunal.connection import Compression
from tribunal.errors import DeadlineExceeded, ServerError, TribunalError
from tribunal.transport import faults
from tribunal.transport.interface import Tensor, Tensors
from tribunal.transport.proxy import Proxy
from tribunal.transport.retries import retry_after_s
from tribunal.transport.tensor_bytes import datatype, from_bytes, to_bytes

# Header with the length of a body's JSON; the tensors' bytes follow it.
JSON_LENGTH = "inference-header-content-length"


@dataclass(frozen=True)
class Body:
    """A request's body and headers."""

    content: bytes
    headers: Mapping[str, str]


def inference_body(inputs: Tensors, output: str, compression: Compression | None) -> Body:
    """A request for a model's tensor `output`: a JSON document, followed by the bytes of the tensors."""
    raw = {name: to_bytes(values) for name, values in inputs.items()}
    document = {
        "inputs": [
            {
                "name": name,
                "shape": values.shape,
                "datatype": datatype(values),
                "parameters": {"binary_data_size": len(raw[name])},
            }
            for name, values in inputs.items()
        ],
        "outputs": [{"name": output, "parameters": {"binary_data": True}}],
    }
    header = json.dumps(document).encode()
    content = b"".join((header, *raw.values()))
    headers = {"content-type": "application/octet-stream", JSON_LENGTH: str(len(header))}
    match compression:
        case "gzip":
            return Body(gzip.compress(content), {**headers, "content-encoding": "gzip"})
        case "deflate":
            return Body(zlib.compress(content), {**headers, "content-encoding": "deflate"})
    return Body(content, headers)


def output_tensor(response: httpx.Response, output: str) -> Tensor:
    """The tensor `output` of a model's response; raises ServerError if it is missing."""
    content = response.content
    try:
        begin = int(response.headers.get(JSON_LENGTH, len(content)))
        for tensor in json_document(response, content[:begin])["outputs"]:
            end = begin + tensor["parameters"]["binary_data_size"]
            if tensor["name"] == output:
                return from_bytes(content[begin:end], tensor["datatype"], tensor["shape"])
            begin = end
    except (KeyError, TypeError, ValueError) as error:
        raise faults.lacking_output(output) from error
    raise faults.lacking_output(output)


def json_document(response: httpx.Response, content: bytes) -> dict[str, Any]:
    """A response's JSON; raises ServerError if it is invalid, for example if the server is not Triton."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise _not_triton(response) from error
    if not isinstance(document, dict):
        raise _not_triton(response)
    return document


def require_success(response: httpx.Response, url: str, proxy: Proxy | None) -> None:
    """Raise the error for the response's status, unless it is a success."""
    if not response.is_success:
        raise _fault(response, url, proxy)


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Convert httpx's errors to TribunalErrors, which say what to do."""
    try:
        yield
    except httpx.TransportError as error:
        raise faults.no_connection(url, str(error) or type(error).__name__) from error
    except httpx.HTTPError as error:
        raise ServerError(f"the answer of {url} cannot be read: {error}") from error


def _fault(response: httpx.Response, url: str, proxy: Proxy | None) -> TribunalError:
    reason = _reason(response, proxy)
    pause_s = retry_after_s(response.headers.get("retry-after"))
    match response.status_code:
        case 401 | 403:
            return faults.access_denied(url, reason)
        case 429:
            return faults.overloaded(url, reason, pause_s)
        case 407 | 502 | 503:
            return faults.unavailable(url, reason, pause_s)
        case 504:
            return DeadlineExceeded(f"a proxy in front of {url} timed out ({reason})")
        case 404 if faults.UNLOADED in reason:
            return faults.unavailable(url, reason)
        case 400 | 413:
            return faults.invalid_request(reason)
        case _:
            return ServerError(f"{url}: {reason}")


def _reason(response: httpx.Response, proxy: Proxy | None) -> str:
    """The message of Triton or a gateway on one line; of another body, such as a proxy's page, the status."""
    try:
        error = response.json()["error"]
        # Triton's error is its message; in OpenAI's protocol an object has it.
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        message = None
    if isinstance(message, str) and message.strip():
        return " ".join(message.split())
    advice = f"; {proxy.advice}" if proxy else ""
    return f"{_answer(response)}; check the address, and that the server behind a proxy runs{advice}"


def _not_triton(response: httpx.Response) -> ServerError:
    return ServerError(f"{_answer(response)}: is a Tribunal server at {response.url.host}?")


def _answer(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0] or "no content type"
    return f"HTTP {response.status_code} {response.reason_phrase} with {kind}, which is not Triton's answer"
