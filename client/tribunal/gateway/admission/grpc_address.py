"""The client address of a gRPC call, by the same rule as uvicorn's for HTTP."""

from collections.abc import Iterable
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

FORWARDED_FOR = "x-forwarded-for"


class CallerAddresses:
    """Finds the address of a call's caller, also behind proxies.

    trusted_proxies: addresses and networks whose `x-forwarded-for` is trusted, as in uvicorn's
    `forwarded_allow_ips`.
    """

    def __init__(self, trusted_proxies: list[str] | str) -> None:
        self._trusted = ProxyHeadersMiddleware(_no_app, trusted_proxies).trusted_hosts  # type: ignore[arg-type]

    def of(self, peer: str, metadata: Iterable[tuple[str, str | bytes]]) -> str:
        """The caller's address without the port. peer: in gRPC's form, such as `ipv4:127.0.0.1:50000`."""
        address = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")
        forwarded = ", ".join(str(value) for name, value in metadata if name == FORWARDED_FOR)
        if forwarded and address in self._trusted:
            return self._trusted.get_trusted_client_address(forwarded)[0] or address
        return address


async def _no_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotImplementedError
