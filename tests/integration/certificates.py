"""Real certificates of a temporary certificate authority."""

from dataclasses import dataclass
from pathlib import Path

import tritonclient.grpc
import trustme

from launcher.exposure.tls import Tls


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority's certificate, and certificates with keys for the server and the caller."""

    authority: Path
    server: Path
    server_key: Path
    caller: Path
    caller_key: Path

    @property
    def tls(self) -> Tls:
        """Server options for TLS without client certificates."""
        return Tls(self.server, self.server_key)

    @property
    def mutual_tls(self) -> Tls:
        """Server options for mutual TLS with the authority's callers."""
        return Tls(self.server, self.server_key, self.authority)

    def grpc_client(
        self, url: str, *, with_certificate: bool = False
    ) -> tritonclient.grpc.InferenceServerClient:
        """A client that verifies the server's certificate and presents the caller's `with_certificate`."""
        own = (
            {"private_key": str(self.caller_key), "certificate_chain": str(self.caller)}
            if with_certificate
            else {}
        )
        return tritonclient.grpc.InferenceServerClient(
            url, ssl=True, root_certificates=str(self.authority), **own
        )


def issue(folder: Path) -> Certificates:
    """Write a new authority's files into `folder`; the server is localhost and 127.0.0.1."""
    authority = trustme.CA()
    server, caller = (
        authority.issue_cert("localhost", "127.0.0.1"),
        authority.issue_cert("caller@example.org"),
    )
    files = Certificates(
        *(folder / f"{name}.pem" for name in ("ca", "server", "server_key", "caller", "caller_key"))
    )
    authority.cert_pem.write_to_path(files.authority)
    server.cert_chain_pems[0].write_to_path(files.server)
    server.private_key_pem.write_to_path(files.server_key)
    caller.cert_chain_pems[0].write_to_path(files.caller)
    caller.private_key_pem.write_to_path(files.caller_key)
    return files
