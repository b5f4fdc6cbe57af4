"""Who can reach a server: the addresses that it listens on, and the TLS of its gRPC endpoint.

Triton speaks TLS over gRPC alone, so beyond loopback only gRPC with TLS is open by default.
"""

import ssl
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from local_server.errors import StartError

LOOPBACK = IPv4Address("127.0.0.1")


@dataclass(frozen=True)
class Tls:
    """PEM files of the gRPC endpoint's TLS.

    client_ca: callers need a certificate that it signed; None asks them for none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def require_usable(self) -> None:
        """Raise StartError where a file cannot be read, is no PEM, or the key is of another certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise StartError(
                f"{self.certificate} and {self.key} are no certificate and its key ({error}): "
                "check --tls-certificate and --tls-key"
            ) from error
        if self.client_ca is None:
            return
        try:
            context.load_verify_locations(self.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise StartError(
                f"{self.client_ca} holds no certificates ({error}): check --tls-client-ca"
            ) from error


@dataclass(frozen=True)
class Exposure:
    """Where a server listens.

    address: of gRPC; of HTTP and the metrics too where it is a loopback address, or with `everything`.
    everything: plain endpoints may be open there, for something else guards the address.

    Raises StartError for an address beyond loopback with neither TLS nor `everything`.
    """

    address: IPv4Address = LOOPBACK
    everything: bool = False
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if not (self.address.is_loopback or self.everything or self.tls):
            raise StartError(
                f"{self.address} is no loopback address, and whoever reaches it could ask and read "
                "everything: give --tls-certificate and --tls-key, or --expose where a proxy or a "
                "container's network guards it. Triton 24.10, which runs here, has published "
                "vulnerabilities; the shared-memory API behind them asks for a key in any case"
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
