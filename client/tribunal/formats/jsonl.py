"""JSON Lines: a JSON object on each line."""

import json
from collections.abc import Iterable, Iterator

from tribunal.formats.format import Format, Row, lines_of, unreadable_row


def read_jsonl(lines: Iterable[bytes]) -> Iterator[Row]:
    """A row for each line's JSON object; skips empty lines."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("not an object")
            if b"\\u" in line:
                # A lone surrogate has an escape, and no other form that could be written again.
                json.dumps(fields, ensure_ascii=False).encode("utf-8")
            yield Row(fields)
        except (ValueError, RecursionError) as error:
            yield unreadable_row(line, f"line {number} is not a JSON object: {error}")


def json_text(value: object) -> str:
    """`value` as JSON on one line; values that JSON cannot represent become text."""
    return json.dumps(value, ensure_ascii=False, default=plain_text)


def plain_text(value: object) -> str:
    """Text of a value that JSON cannot represent: bytes, dates, decimals."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


JSONL = Format(
    "jsonl",
    ("jsonl", "ndjson"),
    read=lambda stream, _: read_jsonl(lines_of(stream)),
)
