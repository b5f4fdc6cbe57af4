"""Rows of an input: JSONL, CSV, Parquet or plain lines, from a file or standard input, compressed or not."""

import bz2
import csv
import gzip
import hashlib
import io
import json
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tribunal.errors import InvalidInput

STANDARD_INPUT = "-"
KINDS = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
    "tsv": "tsv",
    "parquet": "parquet",
    "txt": "lines",
    "lines": "lines",
}
COMPRESSIONS = ("gz", "bz2", "xz", "zst")
MAX_LINE_BYTES = 64 * 2**20
MAX_CELL_CHARACTERS = 2**24
PARQUET_BATCH_ROWS = 512
ENDS_BYTES = 2**20


@dataclass(frozen=True)
class Row:
    """One row as it was read.

    fields: by name; of a row that could not be read `line` alone, as far as it is text.
    problem: why it could not be read, else None.
    """

    fields: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True)
class Format:
    """kind: `jsonl`, `csv`, `tsv`, `parquet` or `lines`; compression: one of COMPRESSIONS or None."""

    kind: str
    compression: str | None

    @classmethod
    def parse(cls, name: str) -> "Format":
        """From a file's name or a format such as `jsonl` or `csv.gz`; raises InvalidInput."""
        *_, first, last = ["", "", *name.lower().split(".")]
        compression = last if last in COMPRESSIONS else None
        kind = KINDS.get(first if compression else last)
        if kind is None:
            raise InvalidInput(
                f"cannot tell the format of {name!r}: give --format, one of {', '.join(KINDS)}, and "
                f"compressed for example jsonl.gz ({', '.join(COMPRESSIONS)})"
            )
        if kind == "parquet" and compression:
            raise InvalidInput(f"{name!r}: Parquet compresses its columns itself, unpack the file")
        return cls(kind, compression)


class Input:
    """An input that is open for one pass; a context manager.

    source: path, or `-` for standard input.
    columns: of Parquet, the only ones to read; None for all.

    Raises InvalidInput where it cannot be opened.
    """

    def __init__(self, source: str, form: Format, *, columns: tuple[str, ...] | None = None) -> None:
        self._source = source
        self._format = form
        self._columns = columns
        self._read = 0
        try:
            if source == STANDARD_INPUT:
                if form.kind == "parquet":
                    raise InvalidInput("Parquet cannot be read from standard input: give a file")
                self._file: IO[bytes] = sys.stdin.buffer
            else:
                self._file = Path(source).open("rb")  # noqa: SIM115 - __exit__ closes it
        except OSError as error:
            raise InvalidInput(f"cannot read {source}: {error.strerror}") from error
        self._stream = self._file
        self._total = 0 if source == STANDARD_INPUT else Path(source).stat().st_size

    def __enter__(self) -> "Input":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._file.close()

    @property
    def share_read(self) -> float | None:
        """How much of it has been read, from 0 to 1; None where its size is not known."""
        if not self._total:
            return None
        return (self._read if self._format.kind == "parquet" else self._file.tell()) / self._total

    def rows(self) -> Iterator[Row]:
        """Every row in order; raises InvalidInput where the input as a whole cannot be read."""
        try:
            if self._format.kind == "parquet":
                yield from self._parquet()
            elif self._format.kind == "lines":
                yield from read_lines(self._lines())
            elif self._format.kind == "jsonl":
                yield from read_jsonl(self._lines())
            else:
                yield from read_csv(self._lines(), delimiter="\t" if self._format.kind == "tsv" else ",")
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise InvalidInput(f"cannot read {self._source}: {error}") from error

    def _lines(self) -> Iterator[bytes]:
        self._stream = _decompressor(self._format.compression)(self._file)
        number = 0
        while line := self._stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise InvalidInput(
                    f"line {number} of {self._source} is longer than {MAX_LINE_BYTES} bytes: is it "
                    f"{self._format.kind}?"
                )
            yield line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line

    def _parquet(self) -> Iterator[Row]:
        import pyarrow
        import pyarrow.parquet

        try:
            table = pyarrow.parquet.ParquetFile(self._file)
            missing = set(self._columns or ()) - set(table.schema_arrow.names)
            if missing:
                raise InvalidInput(
                    f"{self._source} has no column {min(missing)!r}; it has: "
                    f"{', '.join(table.schema_arrow.names)}"
                )
            self._total = table.metadata.num_rows
            for batch in table.iter_batches(PARQUET_BATCH_ROWS, columns=self._columns):
                for fields in batch.to_pylist():
                    self._read += 1
                    yield Row(fields)
        except pyarrow.ArrowException as error:
            raise InvalidInput(f"cannot read {self._source}: {error}") from error


def read_lines(lines: Iterable[bytes]) -> Iterator[Row]:
    """Each line as the field `text`, empty ones too."""
    for number, line in enumerate(lines, start=1):
        try:
            yield Row({"text": _without_end(line).decode("utf-8")})
        except UnicodeDecodeError as error:
            yield _unreadable(line, f"line {number} is not UTF-8: {error.reason} at byte {error.start}")


def read_jsonl(lines: Iterable[bytes]) -> Iterator[Row]:
    """A JSON object a line; empty lines are no rows."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("not an object")
            if b"\\u" in line:
                # A lone surrogate has an escape, and no other form that could be written again.
                json.dumps(fields, ensure_ascii=False).encode("utf-8")
            yield Row(fields)
        except (ValueError, RecursionError) as error:
            yield _unreadable(line, f"line {number} is not a JSON object: {error}")


def read_csv(lines: Iterator[bytes], delimiter: str) -> Iterator[Row]:
    """Rows under the header of the first line; raises InvalidInput for a header that is none."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    taken: list[bytes] = []

    def decoded() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line.decode("utf-8", "surrogateescape")

    reader = csv.reader(decoded(), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        taken.clear()
        problem, cells = None, []
        try:
            cells = next(reader)
            "".join(cells).encode("utf-8")
        except StopIteration:
            return
        except UnicodeEncodeError:
            problem = "is not UTF-8"
        except csv.Error as error:
            problem = f"is not CSV: {error}"
        if header is None:
            header = cells
            if problem or not all(header) or len(set(header)) < len(header):
                raise InvalidInput(
                    f"the first line of CSV must name each column once, and is: {_shown(taken)[:200]}"
                )
            continue
        if not cells and not problem:
            continue
        if problem is None and len(cells) != len(header):
            problem = f"has {len(cells)} cells and the header {len(header)}"
        if problem is None:
            yield Row(dict(zip(header, cells, strict=True)))
        else:
            yield _unreadable(b"".join(taken), f"the row that ends in line {reader.line_num} {problem}")


def identity(source: str) -> dict[str, object] | None:
    """What tells one file from another: its size and the checksum of its ends; None for standard input."""
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


def _decompressor(compression: str | None) -> Callable[[IO[bytes]], IO[bytes]]:
    if compression is None:
        return lambda file: file
    if compression == "zst":
        import pyarrow

        return lambda file: io.BufferedReader(
            pyarrow.CompressedInputStream(pyarrow.PythonFile(file, mode="r"), "zstd")
        )
    openers: dict[str, Callable[[IO[bytes]], Any]] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    return openers[compression]


def _unreadable(line: bytes, problem: str) -> Row:
    return Row({"line": _shown([line])}, problem)


def _shown(lines: list[bytes]) -> str:
    return _without_end(b"".join(lines)).decode("utf-8", "backslashreplace")


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")
