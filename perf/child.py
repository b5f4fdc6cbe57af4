"""A process that is measured: idle until it is asked for a round."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launcher.repository.contract import CHECKOUT

STOP_TIMEOUT_S = 60.0


class Child:
    """Answers each line of its standard input with a line that is a JSON object, and starts with one.

    Lines of its output that are no JSON object are passed over: libraries write there too. It leads a
    process group of its own.
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
        self.group = self._process.pid

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=STOP_TIMEOUT_S)

    def wait_until_ready(self) -> None:
        """Wait for its first line; raises RuntimeError where the process has ended."""
        self._read()

    def ask(self, line: str) -> dict[str, Any]:
        """The answer to `line`; raises RuntimeError where the process has ended."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"it ended: {' '.join(map(str, self._command))}")
