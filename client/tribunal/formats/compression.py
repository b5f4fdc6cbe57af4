"""Compression of whole files, chosen by the file's suffix."""

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
# Errors of reading a damaged file, besides OSError.
DAMAGED = (EOFError, lzma.LZMAError, zlib.error)


def decompressed(file: IO[bytes], compression: str | None) -> IO[bytes]:
    """The decompressed content of `file`; `compression` is a key of OPENERS, or None."""
    if compression is None:
        return file
    content: IO[bytes] = OPENERS[compression](file)
    return content
