"""Real servers, each started once: with the demo models, and with full-size random ones."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from export_scripts.full_size import write_full_size
from export_scripts.hub_models import ENCODERS
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT


def export(source: str, repository: Path, *options: str) -> None:
    """Fill `repository` by the command line."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "export_scripts",
            "--source",
            source,
            "--repository",
            str(repository),
            *options,
        ],
        cwd=CHECKOUT,
        check=True,
    )


@pytest.fixture(scope="session")
def demo_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository filled with the demo models."""
    repository = tmp_path_factory.mktemp("demo") / "repository"
    export("demo", repository)
    return repository


@pytest.fixture(scope="session")
def server(demo_repository: Path) -> Iterator[TritonServer]:
    """The demo models, served for the whole session."""
    log_file = demo_repository.parent / "tritonserver.log"
    with TritonServer(ServerOptions(demo_repository, ports=free_ports(), log_file=log_file)) as running:
        yield running


@pytest.fixture(params=["grpc_url", "http_url"])
def url(request: pytest.FixtureRequest) -> str:
    """Address of the demo server over each protocol.

    TRIBUNAL_TEST_GRPC_URL and TRIBUNAL_TEST_HTTP_URL name another running server, for example in a container.
    """
    elsewhere = os.environ.get(f"TRIBUNAL_TEST_{request.param.upper()}")
    return elsewhere or str(getattr(request.getfixturevalue("server"), request.param))


@pytest.fixture(scope="module")
def full_size_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of the models' full-size architectures with random weights."""
    folder = tmp_path_factory.mktemp("full_size")
    write_full_size(folder, ENCODERS)
    return folder


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A temporary certificate authority."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PEM file of its certificate."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path
