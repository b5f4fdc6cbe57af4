"""The server's address, and the connection options that both clients share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tribunal.arguments import is_whole
from tribunal.errors import InvalidInput

DEFAULT_URL = "localhost:8001"
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_RETRIES = 3
DEFAULT_MAX_IN_FLIGHT = 64
# A request of 32 texts of the largest size that a server reads has 2 MiB.
DEFAULT_MAX_MESSAGE_BYTES = 64 * 2**20
MOST_PORT = 2**16 - 1

# The characters that gRPC allows in a name, which HTTP allows, too.
HEADER_NAME = re.compile(r"[A-Za-z0-9_.-]+")

Compression = Literal["gzip", "deflate"]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Options of a connection, for gRPC and HTTP.

    ca_file: PEM certificates of the authorities to trust; None trusts the usual public ones.
    cert_file, key_file: the client's own certificate and key, PEM, for mutual TLS; both or neither.
    headers: sent with every request, such as `{"authorization": "Bearer ..."}`.
    compression: of requests: `gzip`, `deflate` or None. Over HTTP it also applies to answers; over gRPC the
    server decides.
    retries: retries if the server is unavailable or overloaded, after a random back-off of at most 0.1 s,
    0.2 s, 0.4 s ... 5 s, or after the server's `Retry-After`, and never past the call's deadline. No other
    error is retried.
    max_in_flight: maximum of calls in flight; the deadline of a waiting call runs.
    max_message_bytes: maximum size of a request, and over gRPC of an answer.

    Raises InvalidInput that names the option.
    """

    ca_file: str | Path | None = None
    cert_file: str | Path | None = None
    key_file: str | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    compression: Compression | None = None
    retries: int = DEFAULT_RETRIES
    max_in_flight: int = DEFAULT_MAX_IN_FLIGHT
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES

    def __post_init__(self) -> None:
        for name, path in self.tls_files.items():
            if not isinstance(path, str | Path) or not _is_file(path):
                raise InvalidInput(f"{name} {str(path)!r} is not a file")
        if (self.cert_file is None) != (self.key_file is None):
            raise InvalidInput("cert_file and key_file need each other: give both or neither")
        if self.compression not in (None, "gzip", "deflate"):
            raise InvalidInput(f"compression is {self.compression!r}; it must be gzip, deflate or None")
        for name, least in (("retries", 0), ("max_in_flight", 1), ("max_message_bytes", 1)):
            value = getattr(self, name)
            if not is_whole(value) or value < least:
                raise InvalidInput(f"{name} is {value!r}; it must be at least {least}")
        if not isinstance(self.headers, Mapping):
            raise InvalidInput(f"headers is a {type(self.headers).__name__}; give a dict of names and values")
        for name, value in self.headers.items():
            # The value may be a secret, so the message does not show it.
            if not isinstance(name, str) or HEADER_NAME.fullmatch(name) is None:
                raise InvalidInput(f"header {name!r}: a name may contain only letters, digits, -, _ and .")
            if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
                raise InvalidInput(f"header {name!r}: its value must be printable ASCII")

    @property
    def lowercase_headers(self) -> dict[str, str]:
        """A copy of the headers with names in lower case, which gRPC requires."""
        return {name.lower(): value for name, value in self.headers.items()}

    @property
    def tls_files(self) -> dict[str, str | Path]:
        """The given files, by option."""
        files = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
        return {name: path for name, path in files.items() if path is not None}


@dataclass(frozen=True)
class Address:
    """The address of a server.

    url: as the caller gave it.
    host: `host:port`, over HTTP optionally with a path.
    """

    url: str
    host: str
    is_http: bool
    is_tls: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `host:port` or one of the four schemes; raises InvalidInput for others, and for a bad port."""
        scheme, separator, host = url.rpartition("://") if isinstance(url, str) else ("", "", "")
        host = host.rstrip("/")
        if (scheme or not separator) and host and scheme in ("", "grpc", "grpcs", "http", "https"):
            is_http = scheme.startswith("http")
            _check_host(url, host, is_http=is_http)
            return cls(url, host, is_http=is_http, is_tls=scheme.endswith("s"))
        raise InvalidInput(
            f"url {url!r} must be host:port (gRPC), grpcs://host:port (gRPC with TLS), "
            "http://host:port or https://host:port"
        )


def _check_host(url: str, host: str, *, is_http: bool) -> None:
    """Raise InvalidInput unless `host` is a host and perhaps a port, over HTTP perhaps with a path."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
        (name or "").encode("idna")
        is_host = bool(name) and host.isprintable() and " " not in host
        is_address = is_host and (is_http or parts.netloc == host) and "[" not in (name or "")
    except ValueError:
        is_address, port = False, None
    if not is_address or port == 0 or parts.netloc.endswith(":"):
        raise InvalidInput(
            f"url {url!r} has no valid host and port: give host:port with a port between 1 and {MOST_PORT}, "
            "and an IPv6 address in square brackets"
        )


def _is_file(path: str | Path) -> bool:
    try:
        return Path(path).is_file()
    except ValueError:
        return False


def parse_address(url: str, connection: Connection) -> Address:
    """The address to connect to; raises InvalidInput, also for TLS files with a URL without TLS."""
    address = Address.parse(url)
    if connection.tls_files and not address.is_tls:
        name = next(iter(connection.tls_files))
        raise InvalidInput(f"{name} is for TLS, which {url!r} does not use: give grpcs:// or https://")
    return address
