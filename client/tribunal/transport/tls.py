"""The TLS context of a connection, for both protocols."""

import ssl

from tribunal.connection import Connection
from tribunal.errors import InvalidInput


def tls_context(connection: Connection) -> ssl.SSLContext:
    """The TLS context of the connection; raises InvalidInput if a file has no certificate or key."""
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
        if connection.cert_file and connection.key_file:
            context.load_cert_chain(connection.cert_file, connection.key_file)
    except ssl.SSLError as error:
        files = ", ".join(f"{name} {str(path)!r}" for name, path in connection.tls_files.items())
        raise InvalidInput(f"cannot be read as PEM: {files} ({error.reason})") from error
    return context
