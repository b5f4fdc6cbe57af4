"""What a format is: how a file of it is read, and how it is written where `scan` can write it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_LINE_BYTES = 64 * 2**20

Fields = Mapping[str, Any]
# Returns a new iterator over all records at each call.
Records = Callable[[], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Row:
    """One row as it was read.

    fields: by name; of a row that could not be read `line` alone, as far as it is text.
    problem: why it could not be read, else None.
    """

    fields: dict[str, Any]
    problem: str | None = None


class UnreadableFile(Exception):
    """The file as a whole is not of its format; the message says why."""


@dataclass(frozen=True)
class Format:
    """One format of files with records.

    name: as `--format` takes it. suffixes: how names of such files end.
    read: gives the rows of an open file. It may leave out all but the named columns, or all columns
    where None is given. Raises UnreadableFile.
    is_stream: read from beginning to end, so that a file may be compressed, or be a pipe.
    has_columns: every row has the same fields.
    count_rows: tells how many rows an open file has, where that is known before they are read.

    write: writes records to a path. The last argument is a filled value for each field whose type is
    known beforehand; None stands for one that no record has.
    write_beside: writes the columns of a file of this format as they are, with records beside them;
    takes the path of that file last.
    restore: makes the fields whole again that `write` takes apart, by the same filled values.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[IO[bytes], Collection[str] | None], Iterator[Row]]
    is_stream: bool = True
    has_columns: bool = False
    count_rows: Callable[[IO[bytes]], int] | None = None
    write: Callable[[Records, Path, Fields], None] | None = None
    write_beside: Callable[[Records, Path, Fields, Path], None] | None = None
    restore: Callable[[Fields, Fields], dict[str, Any]] | None = None


def lines_of(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of `stream` without a byte order mark; raises UnreadableFile for one beyond all measure."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise UnreadableFile(f"line {number} is longer than {MAX_LINE_BYTES} bytes: is the format right?")
        yield line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line


def unreadable_row(lines: bytes, problem: str) -> Row:
    """A row that could not be read: its lines, as far as they are text, and why."""
    return Row({"line": as_text(lines)}, problem)


def as_text(lines: bytes) -> str:
    """`lines` without their last line end; bytes that are no UTF-8 are escaped."""
    return without_line_end(lines).decode("utf-8", "backslashreplace")


def without_line_end(line: bytes) -> bytes:
    """`line` without the line feed, and the carriage return, that end it."""
    return line.removesuffix(b"\n").removesuffix(b"\r")
