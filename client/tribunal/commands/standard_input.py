"""The texts of arguments, and of standard input: one per line, as soon as they arrive."""

import codecs
import os
from collections.abc import Iterator, Sequence

import typer

from tribunal.commands.standard_streams import standard_input
from tribunal.contract import MAX_BATCH_SIZE
from tribunal.errors import InvalidInput

CHUNK_BYTES = 2**16
PROMPT = "Type a text and press Enter for its verdict; Ctrl-D ends."


def batches_of(texts: Sequence[str]) -> Iterator[list[str]]:
    """`texts` in order, in batches of the size of a request."""
    for start in range(0, len(texts), MAX_BATCH_SIZE):
        yield list(texts[start : start + MAX_BATCH_SIZE])


def as_utf8(argument: str) -> str:
    """`argument` read as UTF-8, whatever the locale says; as it is if its bytes are not UTF-8."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        return argument


def batches_of_standard_input() -> Iterator[list[str]]:
    """The lines that have arrived, then those that arrive while the server answers, and so on.

    Prints a prompt if standard input is a terminal. Raises InvalidInput if standard input is closed, or if
    the lines are not UTF-8.
    """
    descriptor = standard_input()
    if os.isatty(descriptor):
        typer.echo(PROMPT, err=True)
    decoder = codecs.getincrementaldecoder("utf-8")()
    line_begin, read_bytes = "", 0
    while True:
        chunk = os.read(descriptor, CHUNK_BYTES)
        undecoded_bytes = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            position = read_bytes - undecoded_bytes + error.start
            raise InvalidInput(f"standard input is not UTF-8 at byte {position}") from error
        read_bytes += len(chunk)
        *lines, line_begin = (line_begin + text).split("\n")
        if not chunk and line_begin:
            lines.append(line_begin)
        yield from batches_of([line.removesuffix("\r") for line in lines])
        if not chunk:
            return
