"""Opens a transport by the protocol of the address; each protocol is imported at its first use."""

import os

from tribunal.connection import Address, Connection
from tribunal.transport.interface import AsyncTransport, Transport
from tribunal.transport.proxy import Proxy


def open_transport(address: Address, connection: Connection, proxy: Proxy | None) -> Transport:
    """Transport by the protocol of `address`; raises InvalidInput if a TLS file cannot be read."""
    if address.is_http:
        from tribunal.transport.http_transport import open_http

        return open_http(address, connection, proxy)
    _quiet_grpc()
    from tribunal.transport.grpc_transport import open_grpc

    return open_grpc(address, connection, proxy)


def open_async_transport(address: Address, connection: Connection, proxy: Proxy | None) -> AsyncTransport:
    """Transport by the protocol of `address`, of the running event loop."""
    if address.is_http:
        from tribunal.transport.http_transport import open_async_http

        return open_async_http(address, connection, proxy)
    _quiet_grpc()
    from tribunal.transport.grpc_transport import open_async_grpc

    return open_async_grpc(address, connection, proxy)


def _quiet_grpc() -> None:
    """Turn off gRPC's log lines, which repeat the errors; call this before importing gRPC."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
