"""Raw bytes for a TCP port: HTTP requests, well-formed or not, and HTTP/2 frames."""

import json
from dataclasses import dataclass
from typing import Any, Literal

Port = Literal["http", "grpc"]
MODERATION_PATH = "/v2/models/moderation/infer"


@dataclass(frozen=True)
class SocketAttack:
    """Bytes for one connection.

    port: the target port.
    parts: written one after the other, with a pause of `pause_s` between them.
    awaits_answer: whether the server owes an answer, an error, or the end of the connection; if False, the
    sender disconnects soon after the last part.
    """

    kind: str
    parts: tuple[bytes, ...]
    pause_s: float = 0.0
    port: Port = "http"
    awaits_answer: bool = True

    @property
    def protocol(self) -> str:
        """The port's name in the report."""
        return {"http": "HTTP", "grpc": "gRPC's port"}[self.port]

    def __str__(self) -> str:
        sent = b"".join(self.parts)
        return f"{self.kind}: {len(sent)} bytes to {self.port}, {sent[:400]!r}"


def request_head(method: str, path: str, headers: list[str]) -> bytes:
    """The request line and headers of an HTTP/1.1 request with `Connection: close`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A complete POST request with the length of its body."""
    return request_head("POST", path, [f"Content-Length: {len(body)}", *headers]) + body


def post_json(path: str, document: Any, *headers: str) -> bytes:
    """A complete POST request with a JSON document; NaN and infinities as Python writes them."""
    return post(path, json.dumps(document).encode(), "Content-Type: application/json", *headers)
