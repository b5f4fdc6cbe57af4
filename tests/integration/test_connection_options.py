"""Each option of a connection, for both clients and both protocols, with the real server."""

import asyncio
import functools
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import grpc
import pytest
import trustme
from tribunal import (
    AccessDenied,
    AsyncClient,
    Client,
    Connection,
    DeadlineExceeded,
    InvalidInput,
    ServerUnavailable,
    Verdict,
)

from launcher.process.server import TritonServer
from tests.integration.pipe import pipe
from tests.integration.recording_proxy import RecordingProxy, recording_proxy

TEXT = "How to make a bomb?"


class Moderate(Protocol):
    """Send one text through a new client."""

    def __call__(
        self, url: str, connection: Connection, text: str = TEXT, timeout_s: float = 10.0
    ) -> Verdict: ...


def moderate(url: str, connection: Connection, text: str = TEXT, timeout_s: float = 10.0) -> Verdict:
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        return client.moderate(text, judge="never")


def moderate_async(url: str, connection: Connection, text: str = TEXT, timeout_s: float = 10.0) -> Verdict:
    async def ask() -> Verdict:
        async with AsyncClient(url, timeout_s=timeout_s, connection=connection) as client:
            return await client.moderate(text, judge="never")

    return asyncio.run(ask())


both_clients = pytest.mark.parametrize("ask", [moderate, moderate_async])
both_protocols = pytest.mark.parametrize("protocol", ["grpc", "http"])


@pytest.fixture(scope="module")
def own_files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of a client."""
    folder = tmp_path_factory.mktemp("client")
    issued = authority.issue_cert("client@example.org")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(folder / "cert.pem"), append=True)
    return folder / "cert.pem", folder / "key.pem"


def server_tls(authority: trustme.CA, mutual: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if mutual:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def address(server: TritonServer, protocol: str) -> str:
    return server.grpc_url if protocol == "grpc" else server.http_url


@both_protocols
@both_clients
def test_tls_and_whom_it_trusts(
    server: TritonServer, authority: trustme.CA, ca_file: Path, ask: Moderate, protocol: str
) -> None:
    with pipe(address(server, protocol), server_tls(authority, mutual=False)) as proxy:
        url = f"{'grpcs' if protocol == 'grpc' else 'https'}://{proxy.address}"
        assert ask(url, Connection(ca_file=ca_file)).flagged
        with pytest.raises(ServerUnavailable, match="is not trusted"):
            ask(url, Connection(retries=0))


@both_protocols
@both_clients
def test_mutual_tls(
    server: TritonServer,
    authority: trustme.CA,
    ca_file: Path,
    own_files: tuple[Path, Path],
    ask: Moderate,
    protocol: str,
) -> None:
    cert_file, key_file = own_files
    with pipe(address(server, protocol), server_tls(authority, mutual=True)) as proxy:
        url = f"{'grpcs' if protocol == 'grpc' else 'https'}://{proxy.address}"
        assert ask(url, Connection(ca_file=ca_file, cert_file=cert_file, key_file=key_file)).flagged
        with pytest.raises(ServerUnavailable):
            ask(url, Connection(ca_file=ca_file, retries=0))


@both_protocols
@both_clients
@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compression_sends_less(server: TritonServer, ask: Moderate, protocol: str, compression: str) -> None:
    text = "The bread is fresh. " * 600
    sent_bytes = {}
    for option in (None, compression):
        with pipe(address(server, protocol)) as proxy:
            url = proxy.address if protocol == "grpc" else f"http://{proxy.address}"
            verdict = ask(url, Connection(compression=option), text)  # type: ignore[arg-type]
            sent_bytes[option] = proxy.sent_bytes
            assert verdict.windows > 1
    assert sent_bytes[None] > len(text)
    assert sent_bytes[compression] < len(text) / 10


@both_protocols
@both_clients
def test_a_message_beyond_the_limit_is_refused(server: TritonServer, ask: Moderate, protocol: str) -> None:
    with pytest.raises(InvalidInput, match="the request has 1008 bytes and max_message_bytes is 1000"):
        ask(address(server, protocol), Connection(max_message_bytes=1000), "a" * 994)


@both_clients
def test_an_answer_beyond_the_limit_is_refused(server: TritonServer, ask: Moderate) -> None:
    with pytest.raises(InvalidInput, match="larger than max"):
        ask(server.grpc_url, Connection(max_message_bytes=300))


@pytest.fixture
def proxy(server: TritonServer) -> Iterator[RecordingProxy]:
    """A proxy for the demo server."""
    with recording_proxy(server) as running:
        yield running


def url_of(proxy: RecordingProxy, protocol: str) -> str:
    return proxy.grpc_url if protocol == "grpc" else proxy.http_url


@both_protocols
@both_clients
def test_headers_go_with_every_request(proxy: RecordingProxy, ask: Moderate, protocol: str) -> None:
    assert ask(url_of(proxy, protocol), Connection(headers={"Authorization": "Bearer abc"})).flagged
    with Client(
        url_of(proxy, protocol), connection=Connection(headers={"Authorization": "Bearer abc"})
    ) as client:
        client.info()
    assert len(proxy.headers) > 5
    assert {headers["authorization"] for headers in proxy.headers} == {"Bearer abc"}


@both_protocols
@both_clients
def test_refused_credentials_are_not_tried_again(proxy: RecordingProxy, ask: Moderate, protocol: str) -> None:
    proxy.failures.append(grpc.StatusCode.UNAUTHENTICATED)
    with pytest.raises(AccessDenied, match="refuses these credentials"):
        ask(url_of(proxy, protocol), Connection())
    assert len(proxy.headers) == 1


@both_protocols
@both_clients
def test_an_unavailable_server_is_asked_again(proxy: RecordingProxy, ask: Moderate, protocol: str) -> None:
    proxy.failures.extend([grpc.StatusCode.UNAVAILABLE] * 3)
    assert ask(url_of(proxy, protocol), Connection()).flagged
    assert len(proxy.headers) == 4

    proxy.failures.extend([grpc.StatusCode.UNAVAILABLE] * 3)
    with pytest.raises(ServerUnavailable):
        ask(url_of(proxy, protocol), Connection(retries=2))
    assert not proxy.failures


@both_protocols
@both_clients
def test_bad_input_is_not_tried_again(proxy: RecordingProxy, ask: Moderate, protocol: str) -> None:
    with pytest.raises(InvalidInput, match=r"text\[0\] has"):
        ask(url_of(proxy, protocol), Connection(), "a" * 70_000)
    assert len(proxy.headers) == 1


@both_protocols
@both_clients
def test_trying_again_ends_before_the_deadline(proxy: RecordingProxy, ask: Moderate, protocol: str) -> None:
    proxy.failures.extend([grpc.StatusCode.UNAVAILABLE] * 1000)
    started_s = time.monotonic()
    with pytest.raises(ServerUnavailable):
        ask(url_of(proxy, protocol), Connection(retries=1000), timeout_s=1.0)
    assert time.monotonic() - started_s < 3.0
    assert 1 < len(proxy.headers) < 100


def many(url: str, connection: Connection, calls: int, timeout_s: float = 10.0) -> list[Verdict]:
    with (
        Client(url, timeout_s=timeout_s, connection=connection) as client,
        ThreadPoolExecutor(max_workers=calls) as pool,
    ):
        return list(pool.map(functools.partial(client.moderate, judge="never"), [TEXT] * calls))


def many_async(url: str, connection: Connection, calls: int, timeout_s: float = 10.0) -> list[Verdict]:
    async def ask() -> list[Verdict]:
        async with AsyncClient(url, timeout_s=timeout_s, connection=connection) as client:
            return await asyncio.gather(*(client.moderate(TEXT, judge="never") for _ in range(calls)))

    return asyncio.run(ask())


@both_protocols
@pytest.mark.parametrize("ask_many", [many, many_async])
def test_no_more_calls_at_a_time_than_the_limit(
    proxy: RecordingProxy, ask_many: Callable[..., list[Verdict]], protocol: str
) -> None:
    proxy.hold = True
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(ask_many, url_of(proxy, protocol), Connection(max_in_flight=3), 12)
        time.sleep(0.5)
        waiting = proxy.in_flight
        proxy.hold = False
        verdicts = asked.result()
    assert waiting == 3
    assert proxy.most_in_flight == 3
    assert len(verdicts) == 12


@both_protocols
@pytest.mark.parametrize("ask_many", [many, many_async])
def test_waiting_for_a_place_counts_against_the_deadline(
    proxy: RecordingProxy, ask_many: Callable[..., list[Verdict]], protocol: str
) -> None:
    proxy.hold = True
    with pytest.raises(DeadlineExceeded, match="within 2 s"):
        ask_many(url_of(proxy, protocol), Connection(max_in_flight=1), 2, 2.0)
    assert len(proxy.headers) == 1


def test_the_command_line_has_the_same_options(
    server: TritonServer, proxy: RecordingProxy, authority: trustme.CA, ca_file: Path
) -> None:
    def run(url: str, *options: str, **variables: str) -> int:
        ran = subprocess.run(
            [str(Path(sys.executable).parent / "tribunal"), "ready", "--url", url, *options],
            env={"PATH": "", "LC_ALL": "C.UTF-8", **variables},
            capture_output=True,
            check=False,
        )
        return ran.returncode

    assert run(proxy.grpc_url, "--header", "X-Team: a:b", TRIBUNAL_TOKEN="abc") == 0
    assert proxy.headers[-1]["authorization"] == "Bearer abc"
    assert proxy.headers[-1]["x-team"] == "a:b"
    proxy.failures.append(grpc.StatusCode.UNAVAILABLE)
    assert run(proxy.grpc_url, "--retries", "0") == 1
    with pipe(server.grpc_url, server_tls(authority, mutual=False)) as tls_proxy:
        url = f"grpcs://{tls_proxy.address}"
        assert run(url, "--ca", str(ca_file)) == 0
        assert run(url, TRIBUNAL_CA=str(ca_file)) == 0
        assert run(url, "--retries", "0") == 1
