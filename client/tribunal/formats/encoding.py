"""Text in other encodings than UTF-8: reads it as UTF-8, and recognizes UTF-16 and UTF-32."""

import codecs
import io
from typing import IO, Any

from tribunal.errors import InvalidInput

UTF_8 = "utf-8"
CHUNK_BYTES = 2**16
# Stands for bytes that the encoding does not have; its byte 0xff in turn is never UTF-8.
UNDECODABLE = "\udcff"
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
HEAD_BYTES = 1024

codecs.register_error("tribunal-undecodable", lambda error: (UNDECODABLE, _end_of(error)))


def _end_of(error: UnicodeError) -> int:
    if isinstance(error, UnicodeDecodeError):
        return error.end
    raise error


def encoding_named(name: str) -> str:
    """Python's name of the text encoding `name`; raises InvalidInput if there is none."""
    try:
        " ".encode(name)
        return codecs.lookup(name).name
    except (LookupError, UnicodeError) as error:
        raise InvalidInput(
            f"--encoding {name!r} is no text encoding: give for example latin-1, cp1252, utf-16 or utf-8"
        ) from error


def foreign_encoding(head: bytes) -> str | None:
    """The name of the encoding of a text that begins with `head`, if it is UTF-16 or UTF-32; else None.

    The byte order mark tells it, or zero bytes in every second place.
    """
    for mark, name in MARKS.items():
        if head.startswith(mark):
            return name
    if head[1:4] == b"\0\0\0":
        return "utf-32-le"
    if head[:3] == b"\0\0\0":
        return "utf-32-be"
    zeros = [place for place, byte in enumerate(head[:HEAD_BYTES]) if byte == 0]
    in_odd_places = {place % 2 for place in zeros}
    if len(in_odd_places) == 1 and (len(zeros) > 1 or zeros[0] < 2):
        return "utf-16-le" if in_odd_places == {1} else "utf-16-be"
    return None


class Utf8Stream(io.RawIOBase):
    """Reads `stream`, which is in `encoding`, as UTF-8; it waits for no more bytes than one read gives.

    Bytes that the encoding does not have become the byte 0xff, so that only their row is unreadable.
    """

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream: Any = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("tribunal-undecodable")
        self._decoded = b""
        self._is_at_end = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into `buffer`; returns the number of bytes, 0 at the end."""
        while not self._decoded and not self._is_at_end:
            chunk = self._stream.read1(CHUNK_BYTES)
            self._is_at_end = not chunk
            text = self._decoder.decode(chunk, final=self._is_at_end)
            self._decoded = text.encode(UTF_8, "surrogateescape")
        size_bytes = min(len(buffer), len(self._decoded))
        buffer[:size_bytes] = self._decoded[:size_bytes]
        self._decoded = self._decoded[size_bytes:]
        return size_bytes

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
        super().close()


def as_utf8(stream: IO[bytes], encoding: str) -> IO[bytes]:
    """`stream`, which is text in `encoding`, as UTF-8."""
    return stream if encoding == UTF_8 else io.BufferedReader(Utf8Stream(stream, encoding), CHUNK_BYTES)
