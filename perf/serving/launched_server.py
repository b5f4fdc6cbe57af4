"""A server of `python -m launcher` that a test can kill and restart."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from launcher.exposure.ports import Ports
from launcher.recovery.events import read_events
from launcher.recovery.processes import STUB, model_of
from launcher.repository.contract import CHECKOUT

PROCESS_TIMEOUT_S = 60.0
PROCESS_POLL_INTERVAL_S = 0.2


class LaunchedServer:
    """The launcher process and all its descendants.

    log_file: receives the launcher's standard error of all starts; Triton's log is in the same folder.
    options: further options of the launcher.
    checkout: checkout whose launcher runs.
    """

    def __init__(
        self, repository: Path, ports: Ports, log_file: Path, *options: str, checkout: Path = CHECKOUT
    ) -> None:
        self._command: list[str | Path] = [
            *(sys.executable, "-m", "launcher", "--repository", repository),
            *("--http-port", str(ports.http), "--grpc-port", str(ports.grpc)),
            *("--metrics-port", str(ports.metrics), "--log-file", log_file.with_suffix(".triton.log")),
            *options,
        ]
        self._checkout = checkout
        self._log_file = log_file
        self._log_file.unlink(missing_ok=True)
        self._events = log_file.with_suffix(".events.jsonl")
        self._events.unlink(missing_ok=True)
        # The launcher of another checkout may not know the option.
        if checkout == CHECKOUT:
            self._command[3:3] = ["--events", self._events]
        self.ports = ports

    @property
    def pid(self) -> int:
        """Process id of the launcher, the ancestor of all other processes of the server."""
        return self._process.pid

    @property
    def restarts(self) -> int:
        """Number of the launcher's restarts of tritonserver after a crash."""
        return sum(event["event"] == "restarting" for event in read_events(self._events))

    def model_processes(self) -> Counter[str]:
        """Number of living processes of each model with its own processes; empty if tritonserver is dead."""
        found: Counter[str] = Counter()
        triton = self._tritonserver()
        for process in triton.children(recursive=True) if triton else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                command = process.cmdline()
                if command and command[0].endswith(STUB) and process.status() != psutil.STATUS_ZOMBIE:
                    found[model_of(command[-2])] += 1
        return found

    def start(self) -> None:
        """Start the launcher; the server is ready once `Client.is_ready` returns True."""
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._checkout, stderr=log)

    def stop(self, stop_signal: int = signal.SIGTERM) -> None:
        """Send the launcher a signal and wait for its exit; after SIGKILL, kill its descendants, too."""
        # A paused launcher does not restart tritonserver while this looks for the running one.
        if stop_signal == signal.SIGKILL:
            self._process.send_signal(signal.SIGSTOP)
        triton = self._tritonserver()
        self._process.send_signal(stop_signal)
        self._process.wait()
        if stop_signal == signal.SIGKILL and triton:
            os.killpg(triton.pid, signal.SIGKILL)
            triton.wait()

    def kill(self, matches: Callable[[list[str]], bool]) -> None:
        """Send SIGKILL to tritonserver or one of its descendants: the first whose command line matches.

        Waits for such a process; raises RuntimeError after PROCESS_TIMEOUT_S.
        """
        deadline_s = time.monotonic() + PROCESS_TIMEOUT_S
        while time.monotonic() < deadline_s:
            triton = self._tritonserver()
            for process in [triton, *triton.children(recursive=True)] if triton else []:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if matches(process.cmdline()):
                        process.kill()
                        return
            time.sleep(PROCESS_POLL_INTERVAL_S)
        raise RuntimeError(f"no process to kill appeared within {PROCESS_TIMEOUT_S:g} s")

    def _tritonserver(self) -> psutil.Process | None:
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._process.pid).children()
            return next((child for child in children if child.name() == "tritonserver"), None)
        return None
