"""The gateway's image, without a container: its entry point, health check and stop."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tribunal import AccessDenied, Client, Connection

from launcher.exposure.ports import Ports, free_ports
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from tests.unit.docker.test_compose import TEXT, load

DOCKERFILE = (CHECKOUT / "docker" / "Dockerfile.gateway").read_text("utf-8").replace("\\\n", "")
START_TIMEOUT_S = 60


def command_of(instruction: str) -> list[str]:
    """The command of an instruction of the Dockerfile, in the exec form."""
    (found,) = re.findall(rf"^{instruction}.*?(\[.*\])$", DOCKERFILE, re.MULTILINE)
    command: list[str] = json.loads(found)
    return command


def environment(server: TritonServer) -> dict[str, str]:
    """The image's variables, with the address of the test's server."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TRIBUNAL_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**own, "PATH": path, "PYTHONUNBUFFERED": "1", "TRIBUNAL_URL": server.grpc_url}


@contextmanager
def running_image(
    server: TritonServer, ports: Ports, log: Path, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    """The entry point with `arguments`, like `docker run`, but with the test's ports."""
    own = ["--port", str(ports.http), "--grpc-port", str(ports.grpc), "--metrics-port", str(ports.metrics)]
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [*command_of("ENTRYPOINT"), *own, *arguments],
            stdout=written,
            stderr=written,
            env=environment(server),
        ) as gateway,
    ):
        try:
            yield gateway
        finally:
            gateway.kill()


def is_healthy(server: TritonServer, ports: Ports) -> bool:
    """The result of the image's health check."""
    command = [word.replace(":8080", f":{ports.http}") for word in command_of("HEALTHCHECK")]
    return subprocess.run(command, env=environment(server), capture_output=True, check=False).returncode == 0


def await_health(server: TritonServer, ports: Ports, gateway: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not is_healthy(server, ports):
        assert gateway.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()


def test_the_image_serves_is_healthy_and_stops(server: TritonServer, tmp_path: Path) -> None:
    ports, log = free_ports(), tmp_path / "log"
    assert not is_healthy(server, ports)
    with running_image(server, ports, log) as gateway:
        await_health(server, ports, gateway, log)
        for url in (f"127.0.0.1:{ports.grpc}", f"http://127.0.0.1:{ports.http}"):
            with Client(url) as client:
                assert client.moderate("How to make a bomb?", judge="never").flagged
        gateway.terminate()
        assert gateway.wait(40) == 0, log.read_text()


def test_compose_lets_in_callers_whose_keys_are_in_its_folder(server: TritonServer, tmp_path: Path) -> None:
    ports, log = free_ports(), tmp_path / "log"
    service = load(TEXT, "GATEWAY_KEYS")["gateway"]
    folder = CHECKOUT / "docker" / service["volumes"][0].partition(":")[0]
    for file in folder.glob("*.toml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    made = subprocess.run(
        [sys.executable, "-m", "tribunal", "key", "alice", "--policy", "screening"],
        capture_output=True,
        text=True,
        check=True,
    )
    (tmp_path / "keys.toml").write_text(made.stdout)
    arguments = shlex.split(service["command"].replace("/etc/tribunal", str(tmp_path)))
    with running_image(server, ports, log, *arguments) as gateway:
        await_health(server, ports, gateway, log)
        headers = {"authorization": f"Bearer {made.stderr.split()[-1]}"}
        with Client(f"127.0.0.1:{ports.grpc}", connection=Connection(headers=headers)) as client:
            # By the key's policy, which is in the tracked file.
            assert client.moderate("How to make a bomb?").toxicity.status == "skipped"
        with Client(f"127.0.0.1:{ports.grpc}") as stranger, pytest.raises(AccessDenied):
            stranger.moderate("How to make a bomb?")
