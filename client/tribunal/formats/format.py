"""The interface of a file format: how to read it and, if `scan` can write it, how to write it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tribunal.formats.encoding import UTF_8, foreign_encoding
from tribunal.formats.field import FieldName

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
class Reading:
    """How to read a file.

    columns: fields that are needed besides the text's; None for all. A format may read more.
    reserved: fields that are also read if there are any, because the output has fields of these names.
    text_field: field of the texts; a format with types refuses one that holds no text, unless `is_output`.
    is_output: whether a scan wrote the file, which may have objects and lists as JSON text.
    delimiter: between the cells of a row; None for the format's own.
    encoding: of the file. Its text arrives as UTF-8; the name is for messages.
    exact: whether numbers that a float would change keep their literals, as NumberLiteral.
    """

    columns: Collection[str] | None = None
    reserved: Collection[str] = ()
    text_field: FieldName | None = None
    is_output: bool = False
    delimiter: str | None = None
    encoding: str = UTF_8
    exact: bool = False

    @property
    def encoding_shown(self) -> str:
        """The encoding as messages name it."""
        return "UTF-8" if self.encoding == UTF_8 else self.encoding


AS_USUAL = Reading()


@dataclass(frozen=True)
class Format:
    """One file format.

    name: value of `--format`. suffixes: suffixes of file names.
    read: yields the rows of an open file; raises UnreadableFile.
    is_text: whether the file is text in some encoding, which `read` gets as UTF-8.
    is_delimited: whether it has a delimiter, which may be another than usual.
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
    read: Callable[[IO[bytes], Reading], Iterator[Row]]
    is_text: bool = True
    is_delimited: bool = False
    is_stream: bool = True
    has_columns: bool = False
    count_rows: Callable[[IO[bytes]], int] | None = None
    write: Callable[[Records, Path, Fields], None] | None = None
    write_beside: Callable[[Records, Path, Fields, Path], None] | None = None
    restore: Callable[[Fields, Fields], dict[str, Any]] | None = None


def lines_of(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of `stream` without a byte order mark.

    Raises UnreadableFile if a line is too long, or if the text is not UTF-8 but UTF-16 or UTF-32.
    """
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise UnreadableFile(f"line {number} is longer than {MAX_LINE_BYTES} bytes: is the format right?")
        yield without_mark(line) if number == 1 else line


def without_mark(head: bytes) -> bytes:
    """`head`, the beginning of a text in UTF-8, without its byte order mark.

    Raises UnreadableFile if it is UTF-16 or UTF-32.
    """
    encoding = foreign_encoding(head)
    if encoding is not None:
        raise UnreadableFile(f"it is {encoding.upper()}, not UTF-8: give --encoding {encoding}")
    return head.removeprefix(BYTE_ORDER_MARK)


def unreadable_row(lines: bytes, problem: str) -> Row:
    """An unreadable row, with its lines as text."""
    return Row({"line": as_text(lines)}, problem)


def as_text(lines: bytes) -> str:
    """`lines` without the last line ending; bytes that are not UTF-8 are escaped."""
    return without_line_end(lines).decode("utf-8", "backslashreplace")


def without_line_end(line: bytes) -> bytes:
    """`line` without its line ending, LF or CRLF."""
    return line.removesuffix(b"\n").removesuffix(b"\r")
