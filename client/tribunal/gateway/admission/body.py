"""Reads and decompresses each request's body, up to a limit, before it is handled."""

import asyncio
import zlib
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tribunal.gateway.errors import GatewayError, invalid, overloaded

# Memory limit for the bodies of all requests, in bodies of the maximum size.
BODIES_HELD = 16
# zlib's wbits for gzip and for zlib's own format, which HTTP calls deflate.
# Members of a gzip body: enough for the 64 KiB blocks of bgzip in a body of 8 MiB.
MAX_MEMBERS = 256
GZIP_BITS = 16 + zlib.MAX_WBITS
WINDOW_BITS = {"gzip": GZIP_BITS, "x-gzip": GZIP_BITS, "deflate": zlib.MAX_WBITS}


@dataclass
class _Held:
    """The memory that one request's body takes."""

    size_bytes: int = 0


class BodyMiddleware:
    """Gives the application a whole body, and cancels it when its caller disconnects.

    Raises GatewayError for a body that is too large (413), too slow (408) or has a wrong Content-Encoding
    (415, 400), and if the bodies of all requests together are too large (429).
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_held_bytes = BODIES_HELD * max_body_bytes
        self._held_bytes = 0
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held = _Held()
        try:
            body = await self._read(Headers(scope=scope), receive, held)
            if body is not None:
                await self._handle(body, scope, receive, send)
        finally:
            self._held_bytes -= held.size_bytes

    async def _handle(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `body` to the application, and cancel the request when the caller disconnects."""
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        gone = asyncio.Event()

        async def receive_body() -> Message:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        handling = asyncio.ensure_future(self._app(scope, receive_body, send))
        watching = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({handling, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not handling.done():
                gone.set()
                handling.cancel()
                await asyncio.wait({handling})
            if not handling.cancelled():
                handling.result()
        finally:
            watching.cancel()
            handling.cancel()

    async def _read(self, headers: Headers, receive: Receive, held: "_Held") -> bytes | None:
        """The decompressed body; None if the client disconnected."""
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity" and encoding not in WINDOW_BITS:
            raise GatewayError(
                415, "unsupported_encoding", "Content-Encoding may be gzip, x-gzip, deflate or identity"
            )
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunk = message.get("body", b"")
                    self._hold(held, len(chunk))
                    body += chunk
                    if len(body) > self._max_body_bytes:
                        raise self._too_large()
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise GatewayError(
                408, "timeout", f"the body did not arrive within {self._timeout_s:g} s"
            ) from None
        if encoding == "identity":
            return bytes(body)
        content = self._decompress(bytes(body), encoding)
        self._hold(held, len(content))
        return content

    def _hold(self, held: "_Held", size_bytes: int) -> None:
        """Count bytes of a body; raises GatewayError 429 if all bodies together exceed the limit."""
        if self._held_bytes + size_bytes > self._max_held_bytes:
            raise overloaded(1.0)
        held.size_bytes += size_bytes
        self._held_bytes += size_bytes

    def _decompress(self, body: bytes, encoding: str) -> bytes:
        """The content of a body; gzip may have several members (RFC 1952, 2.2)."""
        content = bytearray()
        for _ in range(MAX_MEMBERS):
            decompressor: Any = zlib.decompressobj(WINDOW_BITS[encoding])
            try:
                content += decompressor.decompress(body, self._max_body_bytes + 1 - len(content))
            except zlib.error as error:
                raise invalid(f"the body is not {encoding}: {error}") from error
            if len(content) > self._max_body_bytes:
                raise self._too_large()
            if not decompressor.eof:
                raise invalid(f"the body is not {encoding}: it ends too early")
            body = decompressor.unused_data
            if not body:
                return bytes(content)
            if WINDOW_BITS[encoding] != GZIP_BITS:
                raise invalid(f"the body is not {encoding}: {len(body)} bytes follow its end")
        raise invalid(f"the body has more than {MAX_MEMBERS} members of gzip")

    def _too_large(self) -> GatewayError:
        return GatewayError(413, "too_large", f"the body exceeds the limit of {self._max_body_bytes} bytes")
