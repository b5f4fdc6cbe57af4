"""A deployment for benchmarks: a launcher on loopback, and the gateway in front of it."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from tribunal import Client, TribunalError

from launcher.exposure.ports import Ports, free_ports
from launcher.repository.contract import CHECKOUT
from perf.paths import OUTPUT_FOLDER
from perf.serving.launched_server import LaunchedServer

START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.2
PROBE_TIMEOUT_S = 5.0
LOOPBACK = "127.0.0.1"


class Gateway:
    """The process of `tribunal gateway`.

    triton: ports of the upstream server. ports: its own ports; it has none for metrics.
    log_file: receives the output of all its starts.
    """

    def __init__(self, triton: Ports, ports: Ports, log_file: Path, *options: str) -> None:
        self.ports = ports
        self._log_file = log_file
        self._log_file.unlink(missing_ok=True)
        self._command = [
            *(sys.executable, "-m", "tribunal", "gateway", "--url", f"{LOOPBACK}:{triton.grpc}"),
            *("--host", LOOPBACK, "--port", str(ports.http), "--grpc-port", str(ports.grpc)),
            *options,
        ]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def start(self) -> None:
        """Start it; it is ready once `/v2/health/ready` answers 200."""
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=CHECKOUT, stdout=log, stderr=log)

    def wait_until_ready(self) -> None:
        """Wait until it gives verdicts; raises RuntimeError after START_TIMEOUT_S, or if it has exited."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                raise RuntimeError(f"the gateway ended by itself: see {self._log_file}")
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://{LOOPBACK}:{self.ports.http}/v2/health/ready").is_success:
                    return
            time.sleep(POLL_INTERVAL_S)
        raise RuntimeError(f"the gateway was not ready within {START_TIMEOUT_S:g} s: see {self._log_file}")

    def stop(self, stop_signal: int = signal.SIGTERM) -> None:
        """Send it a signal and wait for its exit; raises TimeoutExpired if it does not exit."""
        self._process.send_signal(stop_signal)
        self._process.wait(STOP_TIMEOUT_S)


@dataclass(frozen=True)
class Deployment:
    """A running launcher with the gateway in front of it."""

    server: LaunchedServer
    gateway: Gateway

    @property
    def http_url(self) -> str:
        """The gateway's address over HTTP."""
        return f"http://{LOOPBACK}:{self.gateway.ports.http}"

    @property
    def grpc_url(self) -> str:
        """The gateway's address over gRPC."""
        return f"{LOOPBACK}:{self.gateway.ports.grpc}"

    @property
    def triton_http_url(self) -> str:
        """Triton's own address over HTTP."""
        return f"http://{LOOPBACK}:{self.server.ports.http}"


@contextlib.contextmanager
def deployed(repository: Path, log_name: str, *, judge: bool = False) -> Iterator[Deployment]:
    """Serve `repository` on free ports with the gateway in front of it, until the context ends.

    log_name: the logs are `build/perf/<log_name>.log` and `<log_name>.gateway.log`.
    judge: whether to serve the judge, too. Raises RuntimeError if either does not become ready.
    """
    OUTPUT_FOLDER.mkdir(parents=True, exist_ok=True)
    options = () if judge else ("--without-judge",)
    log_file = OUTPUT_FOLDER / f"{log_name}.log"
    server = LaunchedServer(repository, free_ports(), log_file, *options)
    with contextlib.ExitStack() as stack:
        server.start()
        stack.callback(server.stop)
        wait_until_served(server)
        # Chosen only now, because the launcher holds its ports already.
        gateway = Gateway(server.ports, free_ports(), log_file.with_suffix(".gateway.log"))
        gateway.start()
        stack.callback(gateway.stop)
        gateway.wait_until_ready()
        yield Deployment(server, gateway)


def wait_until_served(server: LaunchedServer) -> None:
    """Wait until Triton is ready; raises RuntimeError after START_TIMEOUT_S."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    with Client(f"{LOOPBACK}:{server.ports.grpc}", timeout_s=PROBE_TIMEOUT_S) as client:
        while time.monotonic() < deadline_s:
            with contextlib.suppress(TribunalError):
                if client.is_ready():
                    return
            time.sleep(POLL_INTERVAL_S)
    raise RuntimeError(
        f"the server was not ready within {START_TIMEOUT_S:g} s: see its log in {OUTPUT_FOLDER}"
    )
