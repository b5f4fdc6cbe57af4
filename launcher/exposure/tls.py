"""TLS of the gRPC endpoint, the only endpoint for which Triton supports it."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from launcher import StartError


@dataclass(frozen=True)
class Tls:
    """PEM files of the gRPC endpoint's TLS.

    client_ca: callers need a certificate signed by it; None: no client certificate is required.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def require_usable(self) -> None:
        """Raise StartError if a file is unreadable or not PEM, or the key belongs to another certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise StartError(
                f"{self.certificate} and {self.key} are not a certificate and its key ({error}): "
                "check --tls-certificate and --tls-key"
            ) from error
        if self.client_ca is None:
            return
        try:
            context.load_verify_locations(self.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise StartError(
                f"{self.client_ca} has no certificates ({error}): check --tls-client-ca"
            ) from error
