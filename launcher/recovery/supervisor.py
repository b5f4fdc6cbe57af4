"""Brings back what dies under a running tritonserver.

Triton 24.10 starts no Python process again that has died: its model stays READY and each request to it
fails with "Stub process is not healthy". A judge whose engine died unloads itself and stays away.
"""

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType

import psutil

from launcher.process.model_control import UNREACHABLE
from launcher.process.server import TritonServer

POLL_INTERVAL_S = 0.5
RETRY_INTERVAL_S = 10.0
STOP_TIMEOUT_S = 1.0
UNLOAD_TIMEOUT_S = 3.0
UNLOAD_POLL_INTERVAL_S = 0.05
STUB = "triton_python_backend_stub"


class Supervisor:
    """Watches the models of a server in a thread, as a context manager.

    on_event: called with a line for each model that is gone, is back, or could not be brought back.
    """

    def __init__(self, server: TritonServer, on_event: Callable[[str], object]) -> None:
        self._server = server
        self._control = server.control
        self._on_event = on_event
        self._stubs: dict[int, str] = {}
        self._lost: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Supervisor":
        self._stubs = self._running_stubs()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        # A model that is being loaded may take long; what ends the server ends that too.
        self._thread.join(STOP_TIMEOUT_S)

    def _watch(self) -> None:
        wait_s = POLL_INTERVAL_S
        while not self._stopped.wait(wait_s):
            try:
                self._bring_back(self._gone())
                wait_s = POLL_INTERVAL_S
            except psutil.NoSuchProcess:
                return
            except UNREACHABLE as error:
                if not self._stopped.is_set():
                    self._on_event(
                        f"{', '.join(self._lost) or 'a model'} cannot be brought back yet: {error!r}"
                    )
                wait_s = RETRY_INTERVAL_S

    def _gone(self) -> list[str]:
        """Models that do not serve though they should: those without their process, then the others."""
        running = self._running_stubs()
        dead = {model for pid, model in self._stubs.items() if pid not in running}
        unready = [name for name in self._control.unready() if name not in dead]
        now_s = time.monotonic()
        for name in sorted(dead) + unready:
            if name not in self._lost:
                self._lost[name] = now_s
                self._on_event(
                    f"{name} is gone{' with its process' if name in dead else ''}; bringing it back"
                )
        return sorted(dead) + unready

    def _bring_back(self, models: list[str]) -> None:
        for name in models:
            if name in self._stubs.values():
                self._unload(name)
            self._control.load(name)
        # What was unloaded took the ensembles that it is part of with it.
        for name in self._control.unready():
            self._control.load(name)
        self._stubs = self._running_stubs()
        back = self._lost.keys() - set(self._control.unready())
        for name in sorted(back):
            self._on_event(f"{name} is back after {time.monotonic() - self._lost.pop(name):.1f} s")

    def _unload(self, model: str) -> None:
        """Unload what is left of a model; the server says that it has begun, and is done a little later.

        It is never done where requests were with the process that died, so its others are then ended.
        """
        self._control.unload(model)
        deadline_s = time.monotonic() + UNLOAD_TIMEOUT_S
        while time.monotonic() < deadline_s:
            left = [pid for pid, name in self._running_stubs().items() if name == model]
            if not left and model in self._control.unready():
                break
            time.sleep(UNLOAD_POLL_INTERVAL_S)
        else:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._end_orphans()

    def _running_stubs(self) -> dict[int, str]:
        """Model of each Python process that lives, by process id."""
        stubs = {}
        for process in psutil.Process(self._server.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                command = process.cmdline()
                if command and command[0].endswith(STUB):
                    stubs[process.pid] = model_of(command[-2])
        return stubs

    def _end_orphans(self) -> None:
        """End what a dead process has left in the server's group: vLLM's engine outlives its parent."""
        family = {process.pid for process in psutil.Process(self._server.pid).children(recursive=True)}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                of_group = os.getpgid(process.pid) == self._server.pid != process.pid
                if of_group and process.pid not in family:
                    process.kill()


def model_of(instance: str) -> str:
    """Name of the model of an instance: `aegis` of `aegis_0_1`, which is group 0, instance 1."""
    return re.sub(r"(_\d+){1,2}$", "", instance)
