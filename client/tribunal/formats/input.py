"""Opens an input in its format: a file or standard input, compressed or not."""

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from tribunal.errors import InvalidInput
from tribunal.formats.compression import DAMAGED, decompressed
from tribunal.formats.encoding import as_utf8
from tribunal.formats.format import AS_USUAL, Reading, Row, UnreadableFile
from tribunal.formats.interruptible import InterruptibleFile
from tribunal.formats.registry import InputFormat

STANDARD_INPUT = "-"
BUFFER_BYTES = 2**16


class Input:
    """An input that is open for one pass; a context manager.

    source: path, or `-` for standard input.
    reading: how to read it; its encoding and delimiter are those of `input_format`.

    Raises InvalidInput if it cannot be opened.
    """

    def __init__(
        self,
        source: str,
        input_format: InputFormat,
        reading: Reading = AS_USUAL,
    ) -> None:
        self._source = source
        self._format = input_format.format
        self._compression = input_format.compression
        self._reading = replace(reading, encoding=input_format.encoding, delimiter=input_format.delimiter)
        self._rows_read = 0
        self._rows: int | None = None
        if source == STANDARD_INPUT and not self._format.is_stream:
            raise InvalidInput(f"{self._format.name} cannot be read from standard input: give a file")
        try:
            if source == STANDARD_INPUT:
                descriptor = os.dup(sys.stdin.fileno())
            else:
                descriptor = os.open(source, os.O_RDONLY)
        except OSError as error:
            raise self._unreadable(error.strerror) from error
        # 0 for a pipe.
        self._size_bytes = os.fstat(descriptor).st_size
        self._interruptible: InterruptibleFile | None = None
        if self._format.is_stream:
            self._interruptible = InterruptibleFile(descriptor)
            self._file: IO[bytes] = io.BufferedReader(self._interruptible, BUFFER_BYTES)
        else:
            self._file = os.fdopen(descriptor, "rb")
        self._stream: IO[bytes] = self._file

    def __enter__(self) -> "Input":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._file.close()

    @property
    def share_read(self) -> float | None:
        """Share of the input that has been read, from 0 to 1; None if its size is unknown."""
        if self._rows is not None:
            return self._rows_read / self._rows if self._rows else None
        if self._interruptible is not None and self._size_bytes:
            return self._interruptible.bytes_read / self._size_bytes
        return None

    def stop(self) -> None:
        """End the input for the thread that reads it or waits for it."""
        if self._interruptible is not None:
            self._interruptible.stop()

    def rows(self) -> Iterator[Row]:
        """Every row in order; raises InvalidInput if the whole input is unreadable."""
        try:
            if self._format.count_rows is not None:
                self._rows = self._format.count_rows(self._file)
            self._stream = decompressed(self._file, self._compression)
            if self._format.is_text:
                self._stream = as_utf8(self._stream, self._reading.encoding)
            for row in self._format.read(self._stream, self._reading):
                self._rows_read += 1
                yield row
        except (UnreadableFile, UnicodeError, OSError, *DAMAGED) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, reason: object) -> InvalidInput:
        return InvalidInput(f"cannot read {self._source}: {reason}")
