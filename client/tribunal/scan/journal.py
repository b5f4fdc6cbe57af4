"""The work files of a scan, from which an interrupted scan resumes.

OUTPUT.part has a line of JSON for each completed record, and OUTPUT.scan.json the scan's input and options.
When all records are complete, OUTPUT.part is renamed to OUTPUT.
"""

import fcntl
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tribunal.errors import InvalidInput
from tribunal.formats.encoding import UTF_8
from tribunal.formats.input import STANDARD_INPUT
from tribunal.formats.json_values import parse_json

SCANNING, RETRYING, COMPLETE = "scanning", "retrying", "complete"
ENDS_BYTES = 2**20
# Values of the options that plans of earlier versions do not have.
EARLIER_OPTIONS = {"spans": False, "encoding": UTF_8, "delimiter": None}


class Journal:
    """The work file of one output, locked by one process; a context manager.

    Entering raises InvalidInput if another process holds the lock, or if the folder cannot be written.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.part = output.with_name(f"{output.name}.part")
        self._state_file = output.with_name(f"{output.name}.scan.json")
        self._new_output = output.with_name(f"{output.name}.tmp")
        self._new_state = output.with_name(f"{output.name}.scan.json.tmp")

    def require_other_input(self, source: str) -> None:
        """Raise InvalidInput if the scan would write `source`, also under another name or link."""
        try:
            source_status = os.fstat(sys.stdin.fileno()) if source == STANDARD_INPUT else Path(source).stat()
        except OSError:
            # A retry needs no input; otherwise opening the input reports the error.
            return
        written = (self.output, self.part, self._state_file, self._new_output, self._new_state)
        for path in written:
            if path.exists() and os.path.samestat(path.stat(), source_status):
                raise InvalidInput(
                    f"the input {source} and the file {path}, which the scan writes, are the same: give "
                    "another --output"
                )

    def __enter__(self) -> "Journal":
        self._open()
        if self._is_empty and self.stage == SCANNING and self.output.exists():
            # The previous scan ended between the last two steps of `complete`.
            self._file.close()
            self.output.replace(self.part)
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file.closed:
            return
        if self._is_empty:
            self.part.unlink(missing_ok=True)
        self._file.close()

    @property
    def stage(self) -> str | None:
        """The stage of the output: `scanning`, `retrying`, `complete`, or None if there is no scan of it."""
        stage = self._state.get("stage")
        return stage if stage == SCANNING or self.output.exists() else None

    @property
    def summary(self) -> dict[str, Any] | None:
        """The counts of the finished output."""
        summary: dict[str, Any] | None = self._state.get("summary")
        return summary

    def require_same(self, plan: Mapping[str, object]) -> None:
        """Raise InvalidInput if the output was begun with another plan."""
        begun = {**EARLIER_OPTIONS, **self._state["plan"]}
        changes = [
            f"{name} was {json.dumps(begun.get(name))} and is {json.dumps(plan[name])}"
            for name in plan
            if begun.get(name) != plan[name]
        ]
        if changes:
            raise InvalidInput(
                f"{self.output} was started with other options: {'; '.join(changes)}. "
                "Repeat the old command to resume, or give --overwrite to start over"
            )

    def begin(self, stage: str, plan: Mapping[str, object]) -> None:
        """Begin a stage with an empty work file; SCANNING drops an older output."""
        if self._file.closed:
            self._open()
        self._file.truncate(0)
        self._file.seek(0)
        if stage == SCANNING:
            self.output.unlink(missing_ok=True)
            self._write_state({"stage": stage, "plan": dict(plan)})
        else:
            self._write_state({**self._state, "stage": stage})

    def resume(self) -> Iterator[dict[str, Any]]:
        """Each completed record; afterwards, an incomplete last line is removed."""
        self._file.seek(0)
        end = 0
        with self.part.open("rb") as lines:
            for line in lines:
                try:
                    record = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    record = None
                if not isinstance(record, dict):
                    break
                end += len(line)
                yield record
        self._file.truncate(end)
        self._file.seek(end)

    def write(self, lines: bytes) -> None:
        """Append whole lines."""
        view = memoryview(lines)
        while view:
            view = view[self._file.write(view) :]

    def complete(self, summary: Mapping[str, object], convert: Callable[[Path, Path], None] | None) -> None:
        """Turn the work file into the output, in one step.

        convert: converts the work file to the output's format; None if the formats are the same.
        """
        os.fsync(self._file.fileno())
        finished = self.part
        if convert is not None:
            finished = self._new_output
            convert(self.part, finished)
            with finished.open("rb") as file:
                os.fsync(file.fileno())
        finished.replace(self.output)
        self._write_state({**self._state, "stage": COMPLETE, "summary": dict(summary)})
        if convert is not None:
            self.part.unlink()
        # It may already be the output, so it is not written any more.
        self._file.close()

    @property
    def _is_empty(self) -> bool:
        return os.fstat(self._file.fileno()).st_size == 0

    def _open(self) -> None:
        try:
            self._file = os.fdopen(os.open(self.part, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        except OSError as error:
            raise InvalidInput(f"cannot write {self.part}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise InvalidInput(f"another scan is writing {self.output}") from error

    @property
    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads(self._state_file.read_text("utf-8"))
            if not isinstance(state, dict) or not {"stage", "plan"} <= set(state):
                raise ValueError("stage or plan is missing")
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise InvalidInput(
                f"{self._state_file} is damaged ({error}): give --overwrite to start over"
            ) from error
        return state

    def _write_state(self, state: Mapping[str, object]) -> None:
        with self._new_state.open("w", encoding="utf-8") as file:
            json.dump(state, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        self._new_state.replace(self._state_file)


def work_records(part: Path) -> Iterator[dict[str, Any]]:
    """The records of a complete work file, with the literals of their numbers."""
    with part.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield parse_json(line)


def identity(source: str) -> dict[str, object] | None:
    """The identity of a file: its size and the checksum of its ends; None for standard input."""
    if source == STANDARD_INPUT:
        return None
    try:
        with Path(source).open("rb") as file:
            size_bytes = file.seek(0, io.SEEK_END)
            file.seek(0)
            checksum = hashlib.sha256(file.read(ENDS_BYTES))
            file.seek(max(0, size_bytes - ENDS_BYTES))
            checksum.update(file.read(ENDS_BYTES))
    except OSError as error:
        raise InvalidInput(f"cannot read {source}: {error.strerror}") from error
    return {"size_bytes": size_bytes, "sha256_of_ends": checksum.hexdigest()}
