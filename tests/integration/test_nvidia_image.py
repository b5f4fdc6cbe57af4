"""The launcher with a tritonserver in the layout of NVIDIA's images."""

import os
import shutil
from pathlib import Path

import psutil
import pytest
import tenacity
from tribunal import Client, TribunalError, Verdict

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.process.wheel import find_wheel
from launcher.recovery.processes import STUB
from launcher.recovery.supervisor import supervise


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(TribunalError),
    wait=tenacity.wait_fixed(0.5),
    stop=tenacity.stop_after_delay(60),
    reraise=True,
)
def moderated_again(client: Client) -> Verdict:
    """The verdict, after waiting for the model's recovery."""
    return client.moderate("How to make a bomb?", judge="never")


@pytest.fixture
def image_root(tmp_path: Path) -> Path:
    """The wheel's files in the image's layout; a script sets the image's environment variables."""
    wheel, root = find_wheel(), tmp_path / "tritonserver"
    variables = " ".join(f"{name}={value}" for name, value in wheel.environment(os.environ).items())
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tritonserver").write_text(f'#!/bin/sh\nexport {variables}\nexec {wheel.binary} "$@"\n')
    (root / "bin" / "tritonserver").chmod(0o755)
    wheel.backend_directory(root)
    shutil.copytree(wheel.caches, root / "caches")
    return root


def test_it_serves_restarts_and_stops_as_with_the_wheel(
    image_root: Path, demo_repository: Path, tmp_path: Path
) -> None:
    options = ServerOptions(
        demo_repository,
        tmp_path / "log",
        ports=free_ports(),
        work_folder=tmp_path / "work",
        judge=False,
        triton=image_root,
        instances=1,
    )
    with (
        TritonServer(options) as server,
        supervise(server, on_event=print),
        Client(server.grpc_url) as client,
    ):
        before = client.moderate("How to make a bomb?", judge="never")
        assert before.categories.flagged
        local = tmp_path / "work" / "repository" / "aegis" / "configs" / "local.pbtxt"
        assert "local.onnx" not in local.read_text("utf-8")
        stubs = [
            process
            for process in psutil.Process(server.pid).children(recursive=True)
            if process.name().startswith(STUB[:15]) and "aegis" in process.cmdline()[-2]
        ]
        stubs[0].kill()
        assert moderated_again(client) == before
        processes = psutil.Process(server.pid).children(recursive=True)
    # A process that dies with its parent stays a zombie until init reaps it.
    alive = [process for process in processes if process.is_running()]
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
