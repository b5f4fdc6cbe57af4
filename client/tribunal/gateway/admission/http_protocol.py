"""Closes idle and slow HTTP connections; uvicorn itself waits without limit for a request's headers."""

import asyncio
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# From the opening of a connection, or a request's first byte, to the end of the request's headers.
HEAD_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 4096
# Limit for one address, so that none takes all connections. A proxy in front of the gateway is one address.
MAX_CONNECTIONS_OF_ADDRESS = 2048


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection if its headers are late or its address has too many connections."""

    open_of_address: ClassVar[Counter[str]] = Counter()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_is_late: asyncio.TimerHandle | None = None
        self._address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and wait for its first headers."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.open_of_address[self._address] += 1
        if self.open_of_address[self._address] > MAX_CONNECTIONS_OF_ADDRESS:
            transport.close()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        self._head_came()
        self.open_of_address[self._address] -= 1
        if not self.open_of_address[self._address]:
            del self.open_of_address[self._address]
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A further request begins."""
        self._head_came()
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are complete."""
        self._head_came()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_is_late = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _head_came(self) -> None:
        if self._head_is_late is not None:
            self._head_is_late.cancel()
            self._head_is_late = None
