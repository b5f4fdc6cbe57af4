"""How many cores the processes of a benchmark take."""

import contextlib
import time
from collections.abc import Iterator, Mapping

import psutil


class CoreMeter:
    """Cores that processes, each with all its descendants, take while a context is entered.

    pids: process ids by name. cores: by phase and name, added to at the end of each context.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self.cores: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Measure one phase."""
        started_s, before = time.perf_counter(), self._used_s()
        yield
        elapsed_s, after = time.perf_counter() - started_s, self._used_s()
        self.cores[phase] = {name: (after[name] - before[name]) / elapsed_s for name in self._pids}

    def _used_s(self) -> dict[str, float]:
        return {name: used_s(psutil.Process(pid)) for name, pid in self._pids.items()}


def used_s(root: psutil.Process) -> float:
    """Seconds of a core that a process has used, with its descendants unless it is this one."""
    own = root.pid == psutil.Process().pid
    total_s = 0.0
    for process in [root] if own else [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total_s += times.user + times.system
    return total_s
