"""The interface of a file format: how to read it and, if `scan` can write it, how to write it."""

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
    """One row of a file.

    fields: values by name; an unreadable row has only `line`, with undecodable bytes escaped.
    problem: why the row is unreadable, else None.
    """

    fields: dict[str, Any]
    problem: str | None = None


class UnreadableFile(Exception):
    """The whole file is unreadable in its format; the message says why."""


@dataclass(frozen=True)
class Format:
    """One file format.

    name: value of `--format`. suffixes: suffixes of file names.
    read: yields the rows of an open file. It may omit columns other than the named ones; None names all.
    Raises UnreadableFile.
    is_stream: whether the file is read from beginning to end, so that it may be compressed or a pipe.
    has_columns: whether every row has the same fields.
    count_rows: returns the number of rows of an open file without reading them; None if that is impossible.

    write: writes records to a path. Its last argument has a sample value for each field whose type is
    known in advance, or None for a field that no record has.
    write_beside: writes the columns of a file of this format unchanged, and the records as more columns; its
    last argument is the path of that file.
    restore: joins the fields that `write` splits into columns, by the same sample values.
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
    """The lines of `stream` without a byte order mark; raises UnreadableFile if one is too long."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise UnreadableFile(f"line {number} is longer than {MAX_LINE_BYTES} bytes: is the format right?")
        yield line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line


def unreadable_row(lines: bytes, problem: str) -> Row:
    """An unreadable row, with its lines as text."""
    return Row({"line": as_text(lines)}, problem)


def as_text(lines: bytes) -> str:
    """`lines` without the last line ending; bytes that are not UTF-8 are escaped."""
    return without_line_end(lines).decode("utf-8", "backslashreplace")


def without_line_end(line: bytes) -> bytes:
    """`line` without its line ending, LF or CRLF."""
    return line.removesuffix(b"\n").removesuffix(b"\r")
