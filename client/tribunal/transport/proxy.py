"""The proxy to a server, by the usual variables: one rule for gRPC and HTTP."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from tribunal.connection import Address
from tribunal.errors import InvalidInput

SOCKS = ("socks5", "socks5h")
HTTP_SCHEMES = ("http", "https", *SOCKS)
GRPC_SCHEMES = ("http",)


@dataclass(frozen=True)
class Proxy:
    """The proxy that a variable names, for the server at `host`.

    url: with the scheme, and perhaps with credentials, which no message may show.
    """

    variable: str
    url: str
    host: str

    @property
    def advice(self) -> str:
        """What to do if no server answers, for the end of a message."""
        parts = urlsplit(self.url)
        place = parts.netloc.rpartition("@")[2]
        return (
            f"the variable {self.variable} sends the call through the proxy {place}: if the server needs no "
            f"proxy, add {self.host} to no_proxy"
        )


def proxy_to(address: Address, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy to the server at `address`; None if none is set, or `no_proxy` has the server.

    With TLS it is that of `https_proxy`, otherwise that of `http_proxy`, else that of `all_proxy`; for gRPC
    `grpc_proxy` comes first. A name in lower case comes before the same name in upper case. Raises
    InvalidInput if the protocol cannot use the proxy.
    """
    parts = urlsplit(f"//{address.host}")
    host, port = parts.hostname or "", parts.port
    names = ["https_proxy" if address.is_tls else "http_proxy", "all_proxy"]
    if not address.is_http:
        names.insert(0, "grpc_proxy")
    # In a CGI script, HTTP_PROXY is a header of the request.
    is_cgi = "REQUEST_METHOD" in environment
    for name in names:
        for variable in (name, name.upper()):
            value = environment.get(variable, "").strip()
            if value and not (is_cgi and variable == "HTTP_PROXY"):
                if _is_exempt(host, port, environment):
                    return None
                return _checked(variable, value, host, is_http=address.is_http)
    return None


def _checked(variable: str, value: str, host: str, *, is_http: bool) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    scheme = url.partition("://")[0].lower()
    try:
        parts = urlsplit(url)
        is_valid = bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        is_valid = False
    # The value may have a password, so no message shows it.
    cure = f"give it http://host:port, unset it, or add {host} to no_proxy"
    if is_valid and is_http and scheme in SOCKS and find_spec("socksio") is None:
        raise InvalidInput(
            f"the variable {variable} names a SOCKS proxy: install what it needs by "
            f"pip install 'httpx[socks]', or {cure}"
        )
    if not is_valid or scheme not in (HTTP_SCHEMES if is_http else GRPC_SCHEMES):
        protocol = "HTTP" if is_http else "gRPC"
        raise InvalidInput(f"the variable {variable} names no proxy that {protocol} can use: {cure}")
    return Proxy(variable, url, host)


def _is_exempt(host: str, port: int | None, environment: Mapping[str, str]) -> bool:
    """Whether `no_proxy` has the host: its name or a parent domain, its address or a network, or `*`."""
    listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    entries = [entry.strip().lower() for entry in listed.split(",")]
    return any(entry and _covers(entry, host, port) for entry in entries)


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Whether one entry of `no_proxy` has the host; an entry with a port only that port."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    name, separator, of_port = entry.rpartition(":")
    if separator and of_port.isdigit():
        return port == int(of_port) and _covers(name, host, None)
    domain = entry.lstrip("*.").rstrip(".")
    return bool(domain) and (host.rstrip(".") == domain or host.rstrip(".").endswith(f".{domain}"))
