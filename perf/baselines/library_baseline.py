"""A baseline that calls a library in its own Python process, without a server."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from perf.baselines.registry import EncoderFiles, Precision, RunRound
from perf.baselines.round_process import LIBRARY_ENVIRONMENT, RoundProcess
from perf.load.callers import send_texts
from perf.load.rounds import THROUGHPUT_LOAD, Load, Round
from perf.load.workload import WARM_UP_TEXTS, read_workload

# Screens the texts of one request; its result is ignored.
Screen = Callable[[Sequence[str]], object]


@dataclass(frozen=True)
class LibraryBaseline:
    """A baseline whose process runs `python -m perf.baselines <name> ...`.

    open_screen: loads the encoders in that process.
    max_threads: limit of concurrent requests; further callers wait.
    """

    name: str
    description: str
    open_screen: Callable[[EncoderFiles], Screen]
    loads: tuple[Load, ...] = (THROUGHPUT_LOAD,)
    max_threads: int = 1
    is_reference: bool = False
    precision: Precision = "fp32"

    @contextlib.contextmanager
    def start(self, encoders: EncoderFiles) -> Iterator[RunRound]:
        """Start the process; yields a function that runs a round in it."""
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "perf.baselines",
            self.name,
            encoders.checkpoints,
            encoders.repositories,
        ]
        with RoundProcess(command, LIBRARY_ENVIRONMENT) as process:
            process.wait_until_ready()
            yield process.run_round

    @contextlib.contextmanager
    def load(self, encoders: EncoderFiles) -> Iterator[RunRound]:
        """Load the encoders in this process and warm them up; yields a function that runs a round."""
        screen = self.open_screen(encoders)
        for text in read_workload()[:WARM_UP_TEXTS]:
            screen([text])
        with ThreadPoolExecutor(self.max_threads) as workers:

            def screen_in_turn(texts: Sequence[str]) -> None:
                workers.submit(screen, texts).result()

            def run_round(load: Load, passes: int) -> Round:
                return send_texts(screen_in_turn, read_workload() * passes, load)

            yield run_round
