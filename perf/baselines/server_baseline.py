"""A baseline that sends its requests to HTTP servers, each in its own process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import requests

from launcher.exposure.ports import free_ports
from launcher.repository.contract import CHECKOUT
from perf.baselines.registry import EncoderFiles, Precision, RunRound
from perf.baselines.round_process import LIBRARY_ENVIRONMENT
from perf.load.callers import send_texts
from perf.load.rounds import THROUGHPUT_LOAD, Load, Round
from perf.load.workload import WARM_UP_TEXTS, read_workload

START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
POLL_INTERVAL_S = 0.2
REQUEST_TIMEOUT_S = 60


@dataclass(frozen=True)
class HttpServer:
    """How to start a server, and its requests.

    command: starts the server on a port of loopback.
    path: path of the requests.
    bodies: JSON bodies of the requests that screen a text, sent one after the other.
    """

    command: Callable[[EncoderFiles, int], Sequence[str | Path]]
    path: str
    bodies: Callable[[str], Sequence[Any]]


@dataclass(frozen=True)
class ServerBaseline:
    """Servers that screen a text together; `environment` adds to their environment variables.

    SIGSTOP pauses them between the rounds, because vLLM keeps a core busy for a while after its work.
    """

    name: str
    description: str
    servers: tuple[HttpServer, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    loads: tuple[Load, ...] = (THROUGHPUT_LOAD,)
    is_reference: bool = False
    precision: Precision = "fp32"

    @contextlib.contextmanager
    def start(self, encoders: EncoderFiles) -> Iterator[RunRound]:
        """Start the servers and warm them up; yields a function that runs a round through them.

        Raises RuntimeError if one exits or does not answer within START_TIMEOUT_S.
        """
        with contextlib.ExitStack() as stack:
            processes, urls = [], []
            for server in self.servers:
                port = free_ports().http
                command = server.command(encoders, port)
                processes.append(stack.enter_context(running(command, self.environment)))
                urls.append(f"http://127.0.0.1:{port}{server.path}")

            def screen(session: requests.Session, texts: Sequence[str]) -> None:
                for server, url in zip(self.servers, urls, strict=True):
                    for body in (body for text in texts for body in server.bodies(text)):
                        session.post(url, json=body, timeout=REQUEST_TIMEOUT_S).raise_for_status()

            def run_round(load: Load, passes: int) -> Round:
                send_signal(processes, signal.SIGCONT)
                # New connections for each round, because servers close those that were idle for too long.
                with requests.Session() as session:
                    round_ = send_texts(partial(screen, session), read_workload() * passes, load)
                send_signal(processes, signal.SIGSTOP)
                return round_

            with requests.Session() as session:
                wait_until_ready(lambda: screen(session, read_workload()[:1]), processes)
                screen(session, read_workload()[:WARM_UP_TEXTS])
            send_signal(processes, signal.SIGSTOP)
            yield run_round


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server in its own process group, which ends with the context."""
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env={**os.environ, **LIBRARY_ENVIRONMENT, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
            process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            # Processes that the server has left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def send_signal(processes: Sequence["subprocess.Popen[bytes]"], number: signal.Signals) -> None:
    """Send a signal to the process group of each process."""
    for process in processes:
        os.killpg(process.pid, number)


def wait_until_ready(screen: Callable[[], object], processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait until `screen` succeeds; raises RuntimeError if a process exits or after START_TIMEOUT_S."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            screen()
        except requests.RequestException as error:
            ended = next((process for process in processes if process.poll() is not None), None)
            if ended:
                raise RuntimeError(f"a server ended by itself: {ended.args!r}") from error
            if time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"a server gave no answer within {START_TIMEOUT_S:g} s: {error}"
                ) from error
            time.sleep(POLL_INTERVAL_S)
        else:
            return


def module_command(module: str) -> Callable[[EncoderFiles, int], list[str | Path]]:
    """The command `python -m MODULE CHECKPOINTS PORT` in this environment."""
    return lambda encoders, port: [sys.executable, "-m", module, encoders.checkpoints, str(port)]
