"""Watches a deployment's processes: which ones die, and how much memory each kind takes."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

import psutil

from launcher.recovery.background import Background
from launcher.recovery.processes import STUB, model_of

INTERVAL_S = 0.25


@dataclass(frozen=True)
class Death:
    """A process that ended under attack.

    at_s: seconds since the observation began. under_way: requests in flight or just finished.
    """

    process: str
    pid: int
    at_s: float
    under_way: list[str]


class Observer:
    """Polls the processes in a thread, as a context manager.

    roots: ids of the processes to watch, with all descendants.
    under_way: returns the requests in flight.
    """

    def __init__(self, roots: Iterable[int], under_way: Callable[[], list[str]]) -> None:
        self._roots = list(roots)
        self._under_way = under_way
        self._background = Background(self._look, INTERVAL_S)
        self.deaths: list[Death] = []

    def __enter__(self) -> "Observer":
        self._started_s = time.monotonic()
        self._seen_before = living(self._roots)
        self._watched = dict(self._seen_before)
        self._background.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._background.__exit__()
        self._look()

    def _look(self) -> None:
        """Record deaths; a process is watched from its second sighting on."""
        seen = living(self._roots)
        at_s = time.monotonic() - self._started_s
        for process, name in list(self._watched.items()):
            if process not in seen:
                del self._watched[process]
                self.deaths.append(Death(name, process.pid, at_s, self._under_way()))
        self._watched |= {process: name for process, name in seen.items() if process in self._seen_before}
        self._seen_before = seen


def living(roots: Iterable[int]) -> dict[psutil.Process, str]:
    """Name of each living process among `roots` and their descendants."""
    found = {}
    for pid in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found[process] = process_name(process.cmdline())
    return found


def process_name(command: list[str]) -> str:
    """Name of a process by its command line: `stub of aegis`, `tritonserver`, `launcher`, `gateway`."""
    if not command:
        return "a process without a command line"
    if command[0].endswith(STUB):
        return f"stub of {model_of(command[-2])}"
    words = " ".join(command)
    for word in ("EngineCore", "tritonserver", "gateway", "launcher"):
        if word in (words if word == "EngineCore" else command[0]) or word in command[1:4]:
            return word
    return command[0].rsplit("/", 1)[-1]


def memory_by_process_mib(roots: Iterable[int]) -> dict[str, float]:
    """Total memory in MiB of the processes of each name; shared pages count once."""
    total_bytes: Counter[str] = Counter()
    for process, name in living(roots).items():
        with contextlib.suppress(psutil.NoSuchProcess):
            total_bytes[name] += process.memory_full_info().pss
    return {name: size_bytes / 2**20 for name, size_bytes in sorted(total_bytes.items())}
