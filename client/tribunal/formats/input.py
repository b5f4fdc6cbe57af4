"""Opens an input in its format: a file or standard input, compressed or not."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tribunal.errors import InvalidInput
from tribunal.formats.compression import DAMAGED, decompressed
from tribunal.formats.format import Row, UnreadableFile
from tribunal.formats.registry import InputFormat

STANDARD_INPUT = "-"


class Input:
    """An input that is open for one pass; a context manager.

    source: path, or `-` for standard input.
    columns: the only ones that are needed; None for all.

    Raises InvalidInput where it cannot be opened.
    """

    def __init__(
        self, source: str, input_format: InputFormat, *, columns: tuple[str, ...] | None = None
    ) -> None:
        self._source = source
        self._format = input_format.format
        self._compression = input_format.compression
        self._columns = columns
        self._rows_read = 0
        self._rows: int | None = None
        try:
            if source == STANDARD_INPUT:
                if not self._format.is_stream:
                    raise InvalidInput(f"{self._format.name} cannot be read from standard input: give a file")
                self._file: IO[bytes] = sys.stdin.buffer
                self._size_bytes = 0
            else:
                self._file = Path(source).open("rb")  # noqa: SIM115 - __exit__ closes it
                self._size_bytes = Path(source).stat().st_size
        except OSError as error:
            raise self._unreadable(error.strerror) from error
        self._stream = self._file

    def __enter__(self) -> "Input":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._file.close()

    @property
    def share_read(self) -> float | None:
        """How much of it has been read, from 0 to 1; None where its size is not known."""
        if self._rows is not None:
            return self._rows_read / self._rows if self._rows else None
        return self._file.tell() / self._size_bytes if self._size_bytes else None

    def rows(self) -> Iterator[Row]:
        """Every row in order; raises InvalidInput where the input as a whole cannot be read."""
        try:
            if self._format.count_rows is not None:
                self._rows = self._format.count_rows(self._file)
            self._stream = decompressed(self._file, self._compression)
            for row in self._format.read(self._stream, self._columns):
                self._rows_read += 1
                yield row
        except (UnreadableFile, OSError, *DAMAGED) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, reason: object) -> InvalidInput:
        return InvalidInput(f"cannot read {self._source}: {reason}")
