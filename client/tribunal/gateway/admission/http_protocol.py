"""HTTP connections: limits for each address, deadlines for heads, and no upgrade to another protocol."""

import asyncio
from collections import Counter
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_remote_addr

# From the opening of a connection, or a request's first byte, to the end of the request's headers.
HEAD_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 4096
# Limit for one address, so that none takes all connections. A proxy in front of the gateway is one address.
MAX_CONNECTIONS_OF_ADDRESS = 2048
# Headers that offer another protocol (RFC 9110, 7.8; RFC 7540, 3.2.1).
UPGRADE_HEADERS = (b"upgrade", b"http2-settings")


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection if its headers are late or its address has too many connections.

    An offer to upgrade is ignored, and the request is answered in HTTP/1.1. httptools would skip the body of
    such a request, and read the body as the next request of the connection.
    """

    open_of_address: ClassVar[Counter[str]] = Counter()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_is_late: asyncio.TimerHandle | None = None
        self._address = ""
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and wait for its first headers."""
        client = get_remote_addr(transport)
        self._address = client[0] if client else ""
        self.open_of_address[self._address] += 1
        self._is_refused = self.open_of_address[self._address] > MAX_CONNECTIONS_OF_ADDRESS
        if self._is_refused:
            # It does not count among the connections of all addresses.
            transport.abort()
            return
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        self._head_came()
        self.open_of_address[self._address] -= 1
        if not self.open_of_address[self._address]:
            del self.open_of_address[self._address]
        if not self._is_refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`; a request that offers an upgrade is parsed again without the offer."""
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self.parser.get_method() == b"CONNECT":
                    self.send_400_response("CONNECT is not supported.")
                    return
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserError as error:
                self.send_400_response(f"Invalid HTTP request received: {error}")
                return

    def on_message_begin(self) -> None:
        """A further request begins."""
        self._head_came()
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are complete."""
        self._head_came()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _head_without_upgrade(self) -> bytes:
        """The request line and the headers of the request that offers an upgrade, without the offer."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                kept = [option for option in options if option.lower() not in UPGRADE_HEADERS]
                lines.append(b"connection: " + b", ".join(kept))
            elif name not in UPGRADE_HEADERS:
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def _await_head(self) -> None:
        self._head_is_late = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _head_came(self) -> None:
        if self._head_is_late is not None:
            self._head_is_late.cancel()
            self._head_is_late = None
