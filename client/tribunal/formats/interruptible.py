"""A file that one thread reads and another thread may stop, even while the read waits for a pipe."""

import io
import os
import select
from typing import Any


class InterruptibleFile(io.RawIOBase):
    """Reads the file descriptor `descriptor` until its end or until `stop`; `close` closes the descriptor.

    bytes_read: bytes read so far.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stop_reader, self._stop_writer = os.pipe()
        self._events = select.poll()
        self._events.register(descriptor, select.POLLIN)
        self._events.register(self._stop_reader, select.POLLIN)
        self.bytes_read = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for bytes and read them into `buffer`; returns 0 at the end and after `stop`."""
        ready = [descriptor for descriptor, _ in self._events.poll()]
        if self._stop_reader in ready:
            return 0
        size_bytes = os.readv(self._descriptor, [buffer])
        self.bytes_read += size_bytes
        return size_bytes

    def stop(self) -> None:
        """Make the reader see the end of the file."""
        os.write(self._stop_writer, b"\0")

    def close(self) -> None:
        """Close the file descriptor."""
        if not self.closed:
            for descriptor in (self._descriptor, self._stop_reader, self._stop_writer):
                os.close(descriptor)
        super().close()
