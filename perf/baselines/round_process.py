"""A process that runs a round of a baseline on request and is idle between rounds."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launcher.repository.contract import CHECKOUT
from perf.load.rounds import Load, Round

STOP_TIMEOUT_S = 60.0
# Prevents libraries from asking the Hugging Face hub for files and from starting threads.
LIBRARY_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


class RoundProcess:
    """A process that answers each line of its standard input with a JSON object on one line.

    Its first JSON object says that it is ready. Other lines of its standard output are ignored, because
    libraries write there too. The process leads its own process group, `process_group`.
    """

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.process_group = self._process.pid

    def __enter__(self) -> "RoundProcess":
        return self

    def __exit__(self, *_: object) -> None:
        # Closing its standard input ends the process.
        self._process.communicate(timeout=STOP_TIMEOUT_S)

    def wait_until_ready(self) -> None:
        """Wait for the first JSON object; raises RuntimeError if the process ends before it."""
        self._read_answer()

    def ask(self, request: str) -> dict[str, Any]:
        """Send one line and wait for its answer; raises RuntimeError if the process ends before it."""
        assert self._process.stdin is not None  # noqa: S101 - Popen was given a pipe
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        return self._read_answer()

    def run_round(self, load: Load, passes: int) -> Round:
        """Screen the workload in `passes` passes; the process answers with a Round."""
        return Round(**self.ask(json.dumps([*load, passes])))

    def _read_answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - Popen was given a pipe
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"the process ended unexpectedly: {' '.join(map(str, self._command))}")
