"""A real gateway before the real server, started once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer

START_TIMEOUT_S = 60


@dataclass(frozen=True)
class RunningGateway:
    """One process of `tribunal gateway`, with its addresses and what it has logged."""

    process: subprocess.Popen[bytes]
    http_url: str
    grpc_url: str
    metrics_url: str
    log_file: Path

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text("utf-8")


@contextmanager
def running_gateway(triton_url: str, folder: Path, *options: str) -> Iterator[RunningGateway]:
    """A gateway in a process of its own, stopped as a user would stop it."""
    ports = free_ports()
    log_file = folder / "gateway.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tribunal",
                "gateway",
                *("--url", triton_url, "--port", str(ports.http), "--grpc-port", str(ports.grpc)),
                *("--metrics-port", str(ports.metrics), *options),
            ],
            stdout=log,
            stderr=log,
            env={key: value for key, value in os.environ.items() if not key.startswith("TRIBUNAL_")},
        )
    urls = (f"http://127.0.0.1:{ports.http}", f"127.0.0.1:{ports.grpc}", f"http://127.0.0.1:{ports.metrics}")
    gateway = RunningGateway(process, *urls, log_file)
    try:
        _await_ready(gateway)
        yield gateway
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _await_ready(gateway: RunningGateway) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        assert gateway.process.poll() is None, gateway.log
        try:
            if httpx.get(f"{gateway.http_url}/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the gateway is not ready: {gateway.log}")


@pytest.fixture(scope="session")
def gateway(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that lets everybody in, before the demo server."""
    with running_gateway(server.grpc_url, tmp_path_factory.mktemp("gateway")) as running:
        yield running
