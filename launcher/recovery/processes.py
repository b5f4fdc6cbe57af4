"""The processes below one tritonserver: the stubs of its Python models, and the stubs' own children."""

import contextlib
import os
import re
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import psutil

from launcher.process.shared_memory import regions_mapped_by, remove_unmapped

STUB = "triton_python_backend_stub"


@dataclass(frozen=True)
class ServerProcesses:
    """The processes below the tritonserver `pid`, which leads its own process group.

    models: names of the served models.
    """

    pid: int
    models: Collection[str]

    def stubs(self) -> dict[int, str]:
        """Model of each running stub, by process id; empty if the server has ended."""
        found = {}
        for process in self._descendants():
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                command = process.cmdline()
                if command[0].endswith(STUB) and process.status() != psutil.STATUS_ZOMBIE:
                    named = (model_of(argument) for argument in reversed(command))
                    found[process.pid] = next((model for model in named if model in self.models), "")
        return found

    def kill_stubs(self, model: str) -> None:
        """Kill every stub of a model."""
        for pid, name in self.stubs().items():
            if name == model:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def kill_orphans(self) -> None:
        """Kill processes that outlived their stub, such as vLLM's engine, and remove their shared memory."""
        orphans = [process for process in self._group() if not self._descends(process)]
        regions = regions_mapped_by(process.pid for process in orphans)
        for process in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(orphans, timeout=5)
        remove_unmapped(regions)

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _group(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError):
                if process.pid != self.pid and os.getpgid(process.pid) == self.pid:
                    yield process

    def _descends(self, process: psutil.Process) -> bool:
        """Whether the server is an ancestor of `process`."""
        try:
            return any(parent.pid == self.pid for parent in process.parents())
        except psutil.NoSuchProcess:
            return True


def model_of(instance: str) -> str:
    """Model of an instance: `aegis` for `aegis_0_1`, which is group 0, instance 1."""
    return re.sub(r"(_\d+){1,2}$", "", instance)
