"""The standard streams of the command line, also where one is closed or its encoding has few characters."""

import io
import os
import sys
from contextlib import suppress

from tribunal.errors import InvalidInput

FLAGS = (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)


class _ClosedOutput(io.TextIOBase):
    """Stands in for a closed standard output, so that the first output fails with a plain message."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Raise OSError, unless there is nothing to write."""
        return 0 if not text else self._fail()

    @property
    def buffer(self) -> io.BytesIO:
        """Raise OSError."""
        self._fail()
        raise AssertionError

    def _fail(self) -> int:
        raise OSError("standard output is closed: redirect it to a file or to /dev/null")


def prepare_standard_streams() -> None:
    """Make output never fail for a character, and no file get the number of a closed stream."""
    for descriptor, flags in enumerate(FLAGS):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                _open_at(descriptor, flags)
    if sys.stdout is None:
        sys.stdout = _ClosedOutput()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the exit
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def standard_input() -> int:
    """The descriptor of standard input; raises InvalidInput if it is closed."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, ValueError, OSError) as error:
        raise InvalidInput(
            "standard input is closed: redirect a file to it, or give texts as arguments"
        ) from error


def _open_at(descriptor: int, flags: int) -> None:
    opened = os.open(os.devnull, flags)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
