"""The proxy of the usual variables: one rule for gRPC and HTTP, and messages that name the variable."""

import asyncio
import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from tribunal import AsyncClient, Client, Connection, DeadlineExceeded, InvalidInput, TribunalError, Verdict
from tribunal.connection import Address
from tribunal.transport.proxy import proxy_to

from launcher.__main__ import command_environment
from tests.unit.client.http_server import http_server
from tests.unit.client.kserve_server import kserve_server

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "no_proxy", "no_grpc_proxy")
NO_RETRIES = Connection(retries=0)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def moderate(url: str) -> Verdict:
    with Client(url, timeout_s=5.0, connection=NO_RETRIES) as client:
        return client.moderate("a text", judge="never")


def moderate_async(url: str) -> Verdict:
    async def ask() -> Verdict:
        async with AsyncClient(url, timeout_s=5.0, connection=NO_RETRIES) as client:
            return await client.moderate("a text", judge="never")

    return asyncio.run(ask())


both_clients = pytest.mark.parametrize("ask", [moderate, moderate_async])


@pytest.fixture(params=["grpc", "http"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "grpc":
        with kserve_server() as kserve:
            yield kserve.url
    else:
        with http_server() as http:
            yield http.url


@dataclass
class ForwardProxy:
    """A proxy on a free port, and the first line of each request; `status` in place of forwarding."""

    port: int
    lines: list[str] = field(default_factory=list)
    status: bytes | None = None

    def serve(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += caller.recv(65536)
            method, target, _ = head.split(b"\r\n")[0].decode().split()
            self.lines.append(f"{method} {target}")
            if self.status is not None:
                caller.sendall(b"HTTP/1.1 " + self.status + b"\r\ncontent-length: 0\r\n\r\n")
                return
            host, port = target.removeprefix("http://").partition("/")[0].split(":")
            with socket.create_connection((host, int(port))) as server:
                if method == "CONNECT":
                    caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    server.sendall(head.replace(f"http://{host}:{port}".encode(), b"", 1))
                pipes = {caller: server, server: caller}
                while True:
                    for readable in select.select(list(pipes), [], [])[0]:
                        received = readable.recv(65536)
                        if not received:
                            return
                        pipes[readable].sendall(received)


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = ForwardProxy(listening.getsockname()[1])

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=made.serve, args=[listening.accept()[0]], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield made
        listening.shutdown(socket.SHUT_RDWR)


Ask = Callable[[str], Verdict]


@both_clients
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_calls_go_through_the_proxy(
    url: str, ask: Ask, proxy: ForwardProxy, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    assert not ask(url).flagged
    assert proxy.lines
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    proxy.lines.clear()
    assert not ask(url).flagged
    assert not proxy.lines


@both_clients
def test_a_proxy_that_is_down_is_named(url: str, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:geheim@127.0.0.1:1")
    with pytest.raises(TribunalError) as caught:
        ask(url)
    message = str(caught.value)
    assert message.endswith(
        "; the variable http_proxy sends the call through the proxy 127.0.0.1:1: if the server needs no "
        "proxy, add 127.0.0.1 to no_proxy"
    )
    assert "geheim" not in message


@both_clients
@pytest.mark.parametrize(
    "status", [b"403 Forbidden", b"407 Proxy Authentication Required", b"502 Bad Gateway", b"404 Not Found"]
)
def test_a_proxy_that_refuses_is_named(
    url: str, ask: Ask, proxy: ForwardProxy, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.status = status
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
    with pytest.raises(
        TribunalError,
        match=f"the variable HTTP_PROXY sends the call through the proxy 127.0.0.1:{proxy.port}",
    ):
        ask(url)


@both_clients
def test_a_proxy_that_is_silent_is_named(url: str, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(DeadlineExceeded, match="within 5 s; the variable http_proxy sends"):
            ask(url)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("url", "variable", "value", "message"),
    [
        ("http://host:1", "ALL_PROXY", "socks5://proxy:1", "ALL_PROXY names a SOCKS proxy: .*'httpx.socks.'"),
        ("host:1", "ALL_PROXY", "socks5://proxy:1", "ALL_PROXY names no proxy that gRPC can use: give it"),
        ("host:1", "http_proxy", "https://proxy:1", "http_proxy names no proxy that gRPC can use: give it"),
        ("https://host:1", "https_proxy", "ftp://proxy:1", "https_proxy names no proxy that HTTP can use"),
        ("http://host:1", "http_proxy", "http://proxy:99999", "http_proxy names no proxy that HTTP can use"),
        ("http://host:1", "http_proxy", "http://", "names no proxy .* or add host to no_proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_at_construction(
    kind: Callable[[str], object],
    url: str,
    variable: str,
    value: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput, match=message):
        kind(url)
    monkeypatch.setenv("no_proxy", "host")
    kind(url)


def variable_for(url: str, **environment: str) -> str | None:
    """The variable whose proxy is used for `url`."""
    proxy = proxy_to(Address.parse(url), environment)
    return proxy.variable if proxy else None


def test_which_variable_counts() -> None:
    every = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"), "proxy:1")
    assert variable_for("http://host:1", **every) == "http_proxy"
    assert variable_for("host:1", **every) == "http_proxy"
    assert variable_for("https://host:1", **every) == "https_proxy"
    assert variable_for("grpcs://host:1", **every) == "https_proxy"
    assert variable_for("host:1", grpc_proxy="proxy:1", **every) == "grpc_proxy"
    assert variable_for("http://host:1", https_proxy="proxy:1", all_proxy="proxy:1") == "all_proxy"
    assert variable_for("http://host:1", HTTP_PROXY="proxy:1") == "HTTP_PROXY"
    assert variable_for("http://host:1", HTTP_PROXY="proxy:1", REQUEST_METHOD="GET") is None
    assert variable_for("http://host:1", http_proxy="") is None
    assert variable_for("http://host:1") is None


@pytest.mark.parametrize(
    ("host", "entry", "is_exempt"),
    [
        ("host", "host", True),
        ("HOST", "Host", True),
        ("host", "*", True),
        ("host", "other, host", True),
        ("a.host.example", "host.example", True),
        ("a.host.example", ".host.example", True),
        ("a.host.example", "*.host.example", True),
        ("ahost.example", "host.example", False),
        ("host.example", "a.host.example", False),
        ("host", "host:8001", True),
        ("host", "host:8002", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.0/8", True),
        ("127.0.0.1", "127.0.0.1:8001", True),
        ("10.0.0.1", "127.0.0.0/8", False),
        ("[::1]", "::1", True),
        ("[::1]", "[::1]:8001", True),
        ("[::1]", "127.0.0.1", False),
        ("host", "", False),
        ("host", ",", False),
    ],
)
@pytest.mark.parametrize("scheme", ["", "http://"])
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_which_hosts_no_proxy_has(scheme: str, host: str, entry: str, is_exempt: bool, name: str) -> None:
    proxy = variable_for(f"{scheme}{host}:8001", http_proxy="proxy:1", **{name: entry})
    assert (proxy is None) == is_exempt


@pytest.mark.parametrize(
    ("inherited", "no_proxy"),
    [
        ({}, "127.0.0.1"),
        ({"no_proxy": "host"}, "host,127.0.0.1"),
        ({"NO_PROXY": "host"}, "host,127.0.0.1"),
        ({"no_proxy": "", "NO_PROXY": "*"}, "*,127.0.0.1"),
    ],
)
def test_the_launchers_command_reaches_its_server_without_a_proxy(
    inherited: dict[str, str], no_proxy: str
) -> None:
    variables = {"http_proxy": "http://proxy:1", **inherited}
    environment = command_environment(variables, "127.0.0.1:8001")
    assert environment["no_proxy"] == environment["NO_PROXY"] == no_proxy
    assert environment["TRIBUNAL_URL"] == "127.0.0.1:8001"
    assert variable_for("127.0.0.1:8001", **environment) is None
    assert variable_for("http://127.0.0.1:8000", **environment) is None
