"""Events of a running server: a line for people, and a line of JSON for programs."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# ready: every model serves. restarting: tritonserver has ended and is started again after a pause.
# refused: a model failed its self-check, so the launcher ends.
# lost, restored, not_restored: one model.  unknown: the states of the models cannot be read.
Kind = Literal["ready", "restarting", "refused", "lost", "restored", "not_restored", "unknown"]


@dataclass(frozen=True)
class Event:
    """Something that happened to the server.

    line: what people read. model: the model that it is about, if any.
    """

    kind: Kind
    line: str
    model: str | None = None


class EventFile:
    """Appends a line of JSON to a file for each event: `time` in seconds since 1970, `event`, and `model`.

    file: None to write nothing. The supervisor's threads report, too: each line is written at once.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def write(self, event: Event) -> None:
        """Append one event."""
        if self._file is None:
            return
        document: dict[str, Any] = {"time": time.time(), "event": event.kind}
        if event.model:
            document["model"] = event.model
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(document) + "\n")


def read_events(file: Path) -> list[dict[str, Any]]:
    """The events of a file; empty if none was written. A line that is not finished is left out."""
    if not file.exists():
        return []
    return [
        json.loads(line) for line in file.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]


OnEvent = Callable[[Event], object]
