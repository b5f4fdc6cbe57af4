"""Measures how many cores a benchmark's processes use."""

import contextlib
import time
from collections.abc import Iterator, Mapping

import psutil


class CoreMeter:
    """Cores that processes, each with all its descendants, use during a context.

    pids: process ids by name. cores: results by phase and name; the end of each context adds one.
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
    """CPU seconds that a process has used, with its descendants unless it is this process."""
    own = root.pid == psutil.Process().pid
    total_s = 0.0
    for process in [root] if own else [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total_s += times.user + times.system
    return total_s
