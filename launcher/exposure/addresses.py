"""The addresses that a server listens on.

Triton supports TLS only for gRPC, so by default only gRPC with TLS is open beyond loopback.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address

from launcher import StartError
from launcher.exposure.tls import Tls

LOOPBACK = IPv4Address("127.0.0.1")


@dataclass(frozen=True)
class Exposure:
    """Where a server listens.

    address: of gRPC; also of HTTP and the metrics if it is a loopback address, or with `everything`.
    everything: open endpoints without TLS at this address, because a proxy or network protects it.

    Raises StartError for an address beyond loopback with neither TLS nor `everything`.
    """

    address: IPv4Address = LOOPBACK
    everything: bool = False
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if not (self.address.is_loopback or self.everything or self.tls):
            raise StartError(
                f"{self.address} is not a loopback address, so anyone who reaches it could send requests "
                "and read everything: give --tls-certificate and --tls-key, or --expose if a proxy or a "
                "container's network protects it. Triton 24.10 has published vulnerabilities in its "
                "shared-memory API, which always requires a key"
            )

    def listens_on(self, endpoint: str) -> str:
        """Address that the endpoint `grpc`, `http` or `metrics` listens on; only gRPC has TLS."""
        open_here = endpoint == "grpc" or self.address.is_loopback or self.everything
        return str(self.address if open_here else LOOPBACK)

    def reached_at(self, endpoint: str) -> str:
        """Host by which this machine reaches the endpoint."""
        listens_on = IPv4Address(self.listens_on(endpoint))
        return str(LOOPBACK if listens_on.is_unspecified else listens_on)


ON_LOOPBACK = Exposure()
