"""Plain text: each line is a record."""

from collections.abc import Iterable, Iterator

from tribunal.formats.encoding import UTF_8
from tribunal.formats.format import AS_USUAL, Format, Reading, Row, lines_of, unreadable_row, without_line_end


def read_lines(lines: Iterable[bytes], reading: Reading = AS_USUAL) -> Iterator[Row]:
    """Each line as the field `text`, including empty lines."""
    for number, line in enumerate(lines, start=1):
        try:
            yield Row({"text": without_line_end(line).decode("utf-8")})
        except UnicodeDecodeError as error:
            place = f": {error.reason} at byte {error.start}" if reading.encoding == UTF_8 else ""
            yield unreadable_row(line, f"line {number} is not {reading.encoding_shown}{place}")


LINES = Format("lines", ("txt", "lines"), read=lambda stream, reading: read_lines(lines_of(stream), reading))
