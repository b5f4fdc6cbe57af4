"""Compressions of a whole file, by the suffix of its name."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any


def _open_zstandard(file: IO[bytes]) -> IO[bytes]:
    import pyarrow

    return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(file, mode="r"), "zstd"))


OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    "gz": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
    "zst": _open_zstandard,
}
# What reading a damaged file raises, beside OSError.
DAMAGED = (EOFError, lzma.LZMAError, zlib.error)


def decompressed(file: IO[bytes], compression: str | None) -> IO[bytes]:
    """The content of `file`, which has one of the compressions of OPENERS, or None."""
    if compression is None:
        return file
    content: IO[bytes] = OPENERS[compression](file)
    return content
