"""JSON Lines: a JSON object on each line."""

from collections.abc import Iterable, Iterator

from tribunal.formats.encoding import UTF_8
from tribunal.formats.format import AS_USUAL, Format, Reading, Row, lines_of, unreadable_row
from tribunal.formats.json_values import json_text, parse_json


def read_jsonl(lines: Iterable[bytes], reading: Reading = AS_USUAL) -> Iterator[Row]:
    """A row for each line's JSON object; skips empty lines."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = parse_json(_decoded(line, reading), exact=reading.exact)
            if not isinstance(fields, dict):
                raise ValueError("not an object")
            if b"\\u" in line:
                require_unicode(fields)
            yield Row(fields)
        except (ValueError, RecursionError) as error:
            yield unreadable_row(line, f"line {number} is not a JSON object: {error}")


def require_unicode(value: object) -> None:
    """Raise UnicodeEncodeError for a lone surrogate: it has an escape, and no form that could be written."""
    json_text(value).encode("utf-8")


def _decoded(line: bytes, reading: Reading) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        if reading.encoding == UTF_8:
            raise
        raise ValueError(f"it is not {reading.encoding_shown}") from error


JSONL = Format(
    "jsonl",
    ("jsonl", "ndjson"),
    read=lambda stream, reading: read_jsonl(lines_of(stream), reading),
)
