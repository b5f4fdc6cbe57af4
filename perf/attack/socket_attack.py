"""What is written to a TCP port as it is: HTTP requests, well formed or not, and frames of HTTP/2."""

import json
from dataclasses import dataclass
from typing import Any, Literal

Port = Literal["http", "grpc"]
MODERATION_PATH = "/v2/models/moderation/infer"


@dataclass(frozen=True)
class SocketAttack:
    """Bytes for one connection.

    port: the one that they are for.
    parts: written one after the other, with a pause of `pause_s` between two.
    awaits_answer: whether the server owes an answer, if only an error or the end of the connection; where
    it is False the sender leaves soon after the last part.
    """

    kind: str
    parts: tuple[bytes, ...]
    pause_s: float = 0.0
    port: Port = "http"
    awaits_answer: bool = True

    @property
    def protocol(self) -> str:
        """What the report calls the port."""
        return {"http": "HTTP", "grpc": "gRPC's port"}[self.port]

    def __str__(self) -> str:
        sent = b"".join(self.parts)
        return f"{self.kind}: {len(sent)} bytes to {self.port}, {sent[:400]!r}"


def request_head(method: str, path: str, headers: list[str]) -> bytes:
    """The first line and the headers of an HTTP/1.1 request; the server is asked to close afterwards."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A whole POST request with the length of its body."""
    return request_head("POST", path, [f"Content-Length: {len(body)}", *headers]) + body


def post_json(path: str, document: Any, *headers: str) -> bytes:
    """A whole POST request with a JSON document; NaN and infinities are written as Python does."""
    return post(path, json.dumps(document).encode(), "Content-Type: application/json", *headers)
