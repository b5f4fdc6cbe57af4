"""Plain text: each line is a record."""

from collections.abc import Iterable, Iterator

from tribunal.formats.format import Format, Row, lines_of, unreadable_row, without_line_end


def read_lines(lines: Iterable[bytes]) -> Iterator[Row]:
    """Each line as the field `text`, including empty lines."""
    for number, line in enumerate(lines, start=1):
        try:
            yield Row({"text": without_line_end(line).decode("utf-8")})
        except UnicodeDecodeError as error:
            yield unreadable_row(line, f"line {number} is not UTF-8: {error.reason} at byte {error.start}")


LINES = Format("lines", ("txt", "lines"), read=lambda stream, _: read_lines(lines_of(stream)))
