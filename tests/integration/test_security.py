"""Security: TLS, mutual TLS, restricted APIs, open addresses, and modified repositories."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
import tritonclient.grpc
from tribunal import Client
from tritonclient.utils import InferenceServerException

from launcher.exposure.addresses import Exposure
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.command_line import ADMIN_HEADER
from launcher.process.server import TritonServer
from launcher.repository.manifest import MANIFEST, sha256
from tests.integration.certificates import Certificates, issue
from tests.integration.launching import launch, refused

TEXT = "How to make a bomb?"


def flagged(client: tritonclient.grpc.InferenceServerClient, headers: dict[str, str] | None = None) -> bool:
    tensors = []
    for name, value in (("text", TEXT), ("judge", "never")):
        tensor = tritonclient.grpc.InferInput(name, [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[value.encode()]], dtype=np.object_))
        tensors.append(tensor)
    answer = client.infer("moderation", tensors, headers=headers, client_timeout=10.0)
    return bool(answer.as_numpy("flagged")[0, 0])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return issue(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_server(demo_repository: Path, certificates: Certificates) -> Iterator[TritonServer]:
    with TritonServer(
        ServerOptions(
            demo_repository,
            ports=free_ports(),
            exposure=Exposure(tls=certificates.tls),
            log_file=demo_repository.parent / "tls.log",
            judge=False,
        )
    ) as running:
        yield running


@pytest.fixture(scope="module")
def mutual_tls_server(demo_repository: Path, certificates: Certificates) -> Iterator[TritonServer]:
    with TritonServer(
        ServerOptions(
            demo_repository,
            ports=free_ports(),
            exposure=Exposure(tls=certificates.mutual_tls),
            log_file=demo_repository.parent / "mutual_tls.log",
            judge=False,
        )
    ) as running:
        yield running


def test_tls_answers_who_trusts_its_certificate(tls_server: TritonServer, certificates: Certificates) -> None:
    with certificates.grpc_client(tls_server.grpc_url) as client:
        assert flagged(client)


def test_tls_refuses_plain_grpc_and_strangers_refuse_its_certificate(
    tls_server: TritonServer, tmp_path: Path
) -> None:
    with (
        tritonclient.grpc.InferenceServerClient(tls_server.grpc_url) as plain,
        pytest.raises(InferenceServerException, match="UNAVAILABLE"),
    ):
        flagged(plain)
    with (
        issue(tmp_path).grpc_client(tls_server.grpc_url) as stranger,
        pytest.raises(InferenceServerException, match="UNAVAILABLE"),
    ):
        flagged(stranger)


def test_mutual_tls_lets_in_callers_of_its_authority_only(
    mutual_tls_server: TritonServer, certificates: Certificates, tmp_path: Path
) -> None:
    with certificates.grpc_client(mutual_tls_server.grpc_url, with_certificate=True) as client:
        assert flagged(client)
    with (
        certificates.grpc_client(mutual_tls_server.grpc_url) as nobody,
        pytest.raises(InferenceServerException, match="UNAVAILABLE"),
    ):
        flagged(nobody)
    other = issue(tmp_path)
    foreign = tritonclient.grpc.InferenceServerClient(
        mutual_tls_server.grpc_url,
        ssl=True,
        root_certificates=str(certificates.authority),
        private_key=str(other.caller_key),
        certificate_chain=str(other.caller),
    )
    with foreign, pytest.raises(InferenceServerException, match="UNAVAILABLE"):
        flagged(foreign)


RESTRICTED_PATHS = [
    ("POST", "/v2/repository/index"),
    ("POST", "/v2/repository/models/moderation/unload"),
    ("POST", "/v2/repository/models/moderation/load"),
    ("GET", "/v2/systemsharedmemory/status"),
    ("POST", "/v2/systemsharedmemory/region/mine/register"),
    ("POST", "/v2/cudasharedmemory/region/mine/register"),
    ("POST", "/v2/logging"),
    ("POST", "/v2/trace/setting"),
]


@pytest.mark.parametrize(("method", "path"), RESTRICTED_PATHS)
@pytest.mark.parametrize("headers", [{}, {ADMIN_HEADER: "guessed"}])
def test_restricted_paths_want_the_key(
    tls_server: TritonServer, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = requests.request(method, tls_server.http_url + path, headers=headers, json={}, timeout=10)
    assert answer.status_code == 403
    assert flagged_over_http(tls_server.http_url)


def flagged_over_http(url: str) -> bool:
    with Client(url) as client:
        return client.moderate(TEXT, judge="never").flagged


def test_restricted_calls_over_grpc_want_the_key(
    tls_server: TritonServer, certificates: Certificates
) -> None:
    with certificates.grpc_client(tls_server.grpc_url) as client:
        for call in (
            client.get_model_repository_index,
            lambda headers=None: client.unload_model("moderation", headers=headers),
            lambda headers=None: client.register_system_shared_memory("mine", "/mine", 64, headers=headers),
            lambda headers=None: client.update_log_settings({"log_verbose_level": 1}, headers=headers),
            lambda headers=None: client.update_trace_settings(settings={"trace_rate": "1"}, headers=headers),
        ):
            for headers in (None, dict.fromkeys(tls_server.admin_headers, "guessed")):
                with pytest.raises(InferenceServerException, match="This protocol is restricted"):
                    call(headers=headers)
        index = client.get_model_repository_index(headers=tls_server.admin_headers)
        assert "moderation" in {model.name for model in index.models}


def test_an_open_address_needs_protection(demo_repository: Path, tmp_path: Path) -> None:
    reason = refused(demo_repository, free_ports(), tmp_path, "--address", "0.0.0.0")  # noqa: S104
    assert "give --tls-certificate and --tls-key, or --expose" in reason


def test_the_launcher_serves_a_read_only_repository_with_mutual_tls(
    demo_repository: Path, tmp_path: Path, certificates: Certificates
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(demo_repository, repository, ignore=shutil.ignore_patterns("local.*", "__pycache__"))
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}
    ports = free_ports()
    with launch(
        repository,
        ports,
        Path("-"),
        *("--work-folder", str(tmp_path / "work"), "--without-judge"),
        *("--manifest-sha256", sha256(repository / MANIFEST)),
        *("--address", "0.0.0.0", "--tls-certificate", str(certificates.server)),  # noqa: S104
        *("--tls-key", str(certificates.server_key), "--tls-client-ca", str(certificates.authority)),
        *("--", "sleep", "60"),
    ) as launcher:
        assert launcher.stderr is not None
        messages = []
        for line in launcher.stderr:
            messages.append(line)
            if line.startswith("  log "):
                break
        assert f"gRPC 127.0.0.1:{ports.grpc} (mutual TLS)" in "".join(messages)
        assert any("successfully loaded 'moderation'" in line for line in messages)
        with certificates.grpc_client(f"127.0.0.1:{ports.grpc}", with_certificate=True) as client:
            assert flagged(client)
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == before


@pytest.mark.parametrize("file", ["aegis/1/model.onnx", "phi3/1/weights/model.safetensors"])
def test_a_changed_model_file_stops_the_start_with_its_name(
    demo_repository: Path, tmp_path: Path, file: str
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(demo_repository, repository)
    content = bytearray((repository / file).read_bytes())
    content[len(content) // 2] ^= 1
    (repository / file).write_bytes(content)
    assert f"{file} was changed" in refused(repository, free_ports(), tmp_path, "--without-judge")


def test_the_log_does_not_hold_the_text(tls_server: TritonServer, certificates: Certificates) -> None:
    with certificates.grpc_client(tls_server.grpc_url) as client:
        assert flagged(client)
    assert flagged_over_http(tls_server.http_url)
    assert tls_server.options.log_file is not None
    assert "bomb" not in tls_server.options.log_file.read_text("utf-8")
