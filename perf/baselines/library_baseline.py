"""A baseline that calls a library in a Python process of its own, without any server."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from perf.baselines.registry import EncoderFiles, RunRound
from perf.baselines.round_process import LIBRARY_ENVIRONMENT, RoundProcess
from perf.load.workload import WARM_UP_TEXTS, read_workload
from perf.rounds import Round

# Screens one text; what it returns is not looked at.
Screen = Callable[[str], object]


@dataclass(frozen=True)
class LibraryBaseline:
    """A baseline, whose process runs `python -m perf.baselines <name> ...`.

    open_screen: loads the encoders in that process.
    max_threads: screens at most so many texts at once, however many callers there are.
    """

    name: str
    description: str
    callers: int
    open_screen: Callable[[EncoderFiles], Screen]
    max_threads: int = 1
    is_reference: bool = False

    @contextlib.contextmanager
    def start(self, encoders: EncoderFiles) -> Iterator[RunRound]:
        """Start the process; yields what runs a round in it."""
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "perf.baselines",
            self.name,
            encoders.checkpoints,
            encoders.repository,
        ]
        with RoundProcess(command, LIBRARY_ENVIRONMENT) as process:
            process.wait_until_ready()
            yield process.run_round

    @contextlib.contextmanager
    def load(self, encoders: EncoderFiles) -> Iterator[RunRound]:
        """Load the encoders in this process and warm them up; yields what runs a round."""
        texts = read_workload()
        screen = self.open_screen(encoders)
        for text in texts[:WARM_UP_TEXTS]:
            screen(text)
        with contextlib.ExitStack() as stack:
            pools = {
                threads: stack.enter_context(ThreadPoolExecutor(threads))
                for threads in range(1, self.max_threads + 1)
            }

            def run_round(callers: int) -> Round:
                started_s = time.perf_counter()
                pool = pools[min(callers, self.max_threads)]
                latencies_ms = list(pool.map(lambda text: latency_ms(screen, text), texts))
                return Round(time.perf_counter() - started_s, latencies_ms)

            yield run_round


def latency_ms(screen: Screen, text: str) -> float:
    """Milliseconds that one text takes."""
    started_s = time.perf_counter()
    screen(text)
    return (time.perf_counter() - started_s) * 1000
