"""Diagnoses a failed connection: probes which protocol the port speaks, and with which TLS."""

import queue
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

from tribunal.connection import Address, Connection
from tribunal.transport.proxy import Proxy
from tribunal.transport.tls import tls_context

LONGEST_S = 2.0
DEFAULT_PORTS = {False: 80, True: 443}
# An HTTP server answers it; a gRPC server sends its SETTINGS frame in any case.
GREETING = b"GET /v2 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
ANSWER_BYTES = 9
# The fourth byte of an HTTP/2 frame is its type.
FRAME_TYPE, SETTINGS = 3, 4


def connection_fault(
    address: Address, connection: Connection, proxy: Proxy | None, timeout_s: float
) -> str | None:
    """The fault in the connection to the server at `address`, and what to do, in one sentence.

    None if nothing listens there, if the server works, if it is behind `proxy`, or after `timeout_s`.
    """
    if proxy is not None:
        return None
    limit_s = min(timeout_s, LONGEST_S)
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # The look-up of a name has no deadline, so the caller does not wait for the thread's end.
    probe = threading.Thread(
        target=lambda: found.put(_fault(address, connection, time.monotonic() + limit_s)), daemon=True
    )
    probe.start()
    try:
        return found.get(timeout=limit_s)
    except queue.Empty:
        return None


def _fault(address: Address, connection: Connection, deadline_s: float) -> str | None:
    try:
        if address.is_tls:
            return _fault_with_tls(address, connection, deadline_s)
        return _fault_without_tls(address, deadline_s)
    except OSError:
        return None


def _fault_with_tls(address: Address, connection: Connection, deadline_s: float) -> str | None:
    context = tls_context(connection)
    context.set_alpn_protocols(["http/1.1"] if address.is_http else ["h2"])
    try:
        with _connected(address, deadline_s) as plain, _secured(plain, context, address) as secure:
            # A server rejects the client's certificate after the handshake.
            answer = _answer(secure)
    except ssl.SSLCertVerificationError as error:
        return (
            f"the certificate of {address.url} is not trusted ({error.verify_message}): give the "
            "certificate of its authority as ca_file, and a host name that the certificate has"
        )
    except (ssl.SSLError, ConnectionError):
        answer = b""
    if answer:
        return _fault_of_protocol(answer, address)
    if _plain_answer(address, deadline_s):
        scheme = "http://" if address.is_http else "host:port or grpc://"
        return f"{address.url} does not speak TLS: give {scheme}, or the port that does"
    given = "another client certificate" if connection.cert_file else "a client certificate"
    return f"{address.url} ends the connection; it may want {given}: give cert_file and key_file"


def _fault_without_tls(address: Address, deadline_s: float) -> str | None:
    answer = _plain_answer(address, deadline_s)
    if answer:
        return _fault_of_protocol(answer, address)
    if _speaks_tls(address, deadline_s):
        scheme = "https://" if address.is_http else "grpcs://"
        return f"{address.url} speaks TLS: give {scheme}"
    return None


def _fault_of_protocol(answer: bytes, address: Address) -> str | None:
    """The fault if the first bytes of a server show another protocol than that of `address`."""
    if not address.is_http and answer.startswith(b"HTTP/1"):
        return f"{address.url} speaks HTTP, not gRPC: give http:// or https://, or the port of gRPC"
    if address.is_http and answer[FRAME_TYPE : FRAME_TYPE + 1] == bytes([SETTINGS]):
        return f"{address.url} speaks gRPC, not HTTP: give host:port or grpcs://, or the port of HTTP"
    return None


def _speaks_tls(address: Address, deadline_s: float) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with _connected(address, deadline_s) as plain, _secured(plain, context, address):
            return True
    except ssl.SSLError as error:
        # A server that requires a client certificate sends an alert.
        return "ALERT" in (error.reason or "")


def _connected(address: Address, deadline_s: float) -> socket.socket:
    parts = urlsplit(f"//{address.host}")
    port = parts.port or DEFAULT_PORTS[address.is_tls or not address.is_http]
    left_s = max(deadline_s - time.monotonic(), 0.001)
    return socket.create_connection((parts.hostname, port), timeout=left_s)


def _secured(plain: socket.socket, context: ssl.SSLContext, address: Address) -> ssl.SSLSocket:
    return context.wrap_socket(plain, server_hostname=urlsplit(f"//{address.host}").hostname)


def _plain_answer(address: Address, deadline_s: float) -> bytes:
    """The answer of a server without TLS; empty if it closes the connection."""
    with _connected(address, deadline_s) as plain:
        try:
            return _answer(plain)
        except ConnectionError:
            return b""


def _answer(connected: socket.socket) -> bytes:
    """The first bytes of the server's answer; empty if it closes. Raises TimeoutError."""
    connected.sendall(GREETING)
    return connected.recv(ANSWER_BYTES)
