"""`python -m launcher` as a user runs it, which can be killed and started again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from launcher.exposure.ports import Ports
from launcher.repository.contract import CHECKOUT

APPEARANCE_TIMEOUT_S = 60.0
APPEARANCE_POLL_INTERVAL_S = 0.2


class LaunchedServer:
    """The launcher and all that it starts.

    log_file: receives what the launcher says, appended; Triton's own log stands beside it.
    options: further ones of the launcher.
    """

    def __init__(self, repository: Path, ports: Ports, log_file: Path, *options: str) -> None:
        self._command: list[str | Path] = [
            *(sys.executable, "-m", "launcher", "--repository", repository),
            *("--http-port", str(ports.http), "--grpc-port", str(ports.grpc)),
            *("--metrics-port", str(ports.metrics), "--log-file", log_file.with_suffix(".triton.log")),
            *options,
        ]
        self._log_file = log_file
        self._log_file.unlink(missing_ok=True)
        self.ports = ports

    @property
    def restarts(self) -> int:
        """How often the launcher has started a tritonserver again that had died."""
        return self._log_file.read_text("utf-8").count("starting it again")

    def start(self) -> None:
        """Start it; it is ready when `Client.is_ready` says so."""
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=CHECKOUT, stderr=log)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Signal the launcher and wait for its end; after SIGKILL end what it has started, too."""
        # Stopped, it starts nothing after it was looked for.
        if number == signal.SIGKILL:
            self._process.send_signal(signal.SIGSTOP)
        triton = self._triton()
        self._process.send_signal(number)
        self._process.wait()
        if number == signal.SIGKILL and triton:
            os.killpg(triton.pid, signal.SIGKILL)
            triton.wait()

    def kill(self, wanted: Callable[[list[str]], bool]) -> None:
        """SIGKILL tritonserver or one process below it whose command line is wanted, once there is one."""
        deadline_s = time.monotonic() + APPEARANCE_TIMEOUT_S
        while time.monotonic() < deadline_s:
            triton = self._triton()
            for process in [triton, *triton.children(recursive=True)] if triton else []:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if wanted(process.cmdline()):
                        process.kill()
                        return
            time.sleep(APPEARANCE_POLL_INTERVAL_S)
        raise RuntimeError("there is no such process")

    @property
    def pid(self) -> int:
        """Process id of the launcher, above all that it starts."""
        return self._process.pid

    def _triton(self) -> psutil.Process | None:
        children = psutil.Process(self._process.pid).children()
        return next((child for child in children if child.name() == "tritonserver"), None)
