"""A wrong address, wrong TLS or a proxy's page: one line with the problem and the remedy."""

import contextlib
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer
from tests.integration.pipe import pipe
from tests.integration.test_reverse_proxy import NGINX

ASK = """
import asyncio, sys, tribunal
url, ca_file, is_async = sys.argv[1], sys.argv[2] or None, sys.argv[3] == "async"
connection = tribunal.Connection(ca_file=ca_file, retries=0)

async def ask_async():
    async with tribunal.AsyncClient(url, timeout_s=10, connection=connection) as client:
        await client.moderate("a text", judge="never")

try:
    if is_async:
        asyncio.run(ask_async())
    else:
        with tribunal.Client(url, timeout_s=10, connection=connection) as client:
            client.moderate("a text", judge="never")
except tribunal.TribunalError as error:
    print(type(error).__name__, error)
"""

both_clients = pytest.mark.parametrize("kind", ["sync", "async"])


def told(url: str, kind: str, ca_file: Path | str = "") -> str:
    """Output of a process whose client sends a text to `url`: only the client's error."""
    ran = subprocess.run(
        [sys.executable, "-c", ASK, url, str(ca_file), kind], capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    (line,) = ran.stdout.splitlines()
    return line


def server_tls(authority: trustme.CA, *, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if mutual:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@both_clients
def test_http_at_the_port_of_grpc(server: TritonServer, kind: str) -> None:
    url = f"http://{server.grpc_url}"
    assert told(url, kind) == (
        f"ServerUnavailable {url} speaks gRPC, not HTTP: give host:port or grpcs://, or the port of HTTP"
    )


@both_clients
def test_grpc_at_the_port_of_http(server: TritonServer, kind: str) -> None:
    url = server.http_url.removeprefix("http://")
    assert told(url, kind) == (
        f"ServerUnavailable {url} speaks HTTP, not gRPC: give http:// or https://, or the port of gRPC"
    )


@both_clients
@pytest.mark.parametrize(("protocol", "scheme"), [("grpc_url", "grpcs"), ("http_url", "https")])
def test_an_authority_that_is_not_trusted(
    server: TritonServer, authority: trustme.CA, protocol: str, scheme: str, kind: str
) -> None:
    with pipe(getattr(server, protocol), server_tls(authority)) as proxy:
        url = f"{scheme}://{proxy.address}"
        line = told(url, kind)
    assert line.startswith(f"ServerUnavailable the certificate of {url} is not trusted (")
    assert "unable to get local issuer certificate" in line
    assert "give the certificate of its authority as ca_file" in line


@both_clients
@pytest.mark.parametrize(("protocol", "scheme"), [("grpc_url", "grpcs"), ("http_url", "https")])
def test_a_certificate_for_another_host(
    server: TritonServer, authority: trustme.CA, ca_file: Path, protocol: str, scheme: str, kind: str
) -> None:
    with pipe(getattr(server, protocol), server_tls(authority)) as proxy:
        line = told(f"{scheme}://{proxy.address.replace('127.0.0.1', 'localhost')}", kind, ca_file)
    assert "Hostname mismatch" in line
    assert "a host name that the certificate has" in line


@both_clients
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("protocol", "scheme"), [("grpc_url", "grpcs"), ("http_url", "https")])
def test_a_client_certificate_that_is_missing(
    server: TritonServer,
    authority: trustme.CA,
    ca_file: Path,
    protocol: str,
    scheme: str,
    version: ssl.TLSVersion,
    kind: str,
) -> None:
    context = server_tls(authority, mutual=True)
    context.maximum_version = version
    with pipe(getattr(server, protocol), context) as proxy:
        url = f"{scheme}://{proxy.address}"
        line = told(url, kind, ca_file)
    assert line == (
        f"ServerUnavailable {url} ends the connection; it may want a client certificate: give cert_file "
        "and key_file"
    )


@both_clients
def test_tls_at_a_port_without_it(server: TritonServer, kind: str) -> None:
    url = f"grpcs://{server.grpc_url}"
    assert told(url, kind) == (
        f"ServerUnavailable {url} does not speak TLS: give host:port or grpc://, or the port that does"
    )
    url = server.http_url.replace("http://", "https://")
    assert told(url, kind) == (
        f"ServerUnavailable {url} does not speak TLS: give http://, or the port that does"
    )


@both_clients
def test_no_tls_at_a_port_with_it(server: TritonServer, authority: trustme.CA, kind: str) -> None:
    with pipe(server.grpc_url, server_tls(authority)) as proxy:
        assert told(proxy.address, kind) == f"ServerUnavailable {proxy.address} speaks TLS: give grpcs://"
    with pipe(server.http_url, server_tls(authority)) as proxy:
        url = f"http://{proxy.address}"
        assert told(url, kind) == f"ServerUnavailable {url} speaks TLS: give https://"


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses by protocol of an nginx whose server is down."""
    folder, ports, down = tmp_path_factory.mktemp("nginx"), free_ports(), free_ports().http
    config = folder / "nginx.conf"
    config.write_text(
        f"""
        daemon off; pid {folder}/pid; error_log {folder}/log;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            server {{
                listen 127.0.0.1:{ports.http};
                location / {{ proxy_pass http://127.0.0.1:{down}; }}
            }}
            server {{
                listen 127.0.0.1:{ports.grpc} http2;
                location / {{ grpc_pass grpc://127.0.0.1:{down}; }}
            }}
        }}
        """,
        "utf-8",
    )
    url = f"http://127.0.0.1:{ports.http}"
    running = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(config)])
    try:
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            with contextlib.suppress(requests.ConnectionError):
                assert "<html>" in requests.get(f"{url}/v2", timeout=5).text
                break
            time.sleep(0.05)
        yield {"http": url, "grpc": f"127.0.0.1:{ports.grpc}"}
    finally:
        running.terminate()
        running.wait()


@both_clients
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_page_of_a_proxy_is_not_pasted(nginx: dict[str, str], protocol: str, kind: str) -> None:
    line = told(nginx[protocol], kind)
    assert line.startswith(f"ServerUnavailable no server answers at {nginx[protocol]} (")
    assert "502" in line
    assert "<" not in line
