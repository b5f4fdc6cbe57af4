"""JSON: one document with a list of objects, loaded as a whole."""

from collections.abc import Iterator
from typing import IO

from tribunal.formats.format import Format, Reading, Row, UnreadableFile, as_text, without_mark
from tribunal.formats.json_values import json_text, parse_json
from tribunal.formats.jsonl import read_jsonl, require_unicode


def read_json(stream: IO[bytes], reading: Reading) -> Iterator[Row]:
    """The objects of a list or of JSON Lines, because files of both are named `.json`."""
    content = without_mark(stream.read())
    if not content.lstrip().startswith(b"["):
        yield from read_jsonl(content.splitlines(), reading)
        return
    try:
        entries = parse_json(content.decode("utf-8"), exact=reading.exact)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"it is not JSON: {error}") from error
    for number, entry in enumerate(entries, start=1):
        try:
            require_unicode(entry)
        except UnicodeEncodeError as error:
            line = json_text(entry).encode("utf-8", "surrogatepass")
            yield Row({"line": as_text(line)}, f"entry {number} is not Unicode: {error}")
            continue
        if isinstance(entry, dict):
            yield Row(entry)
        else:
            yield Row({"line": json_text(entry)}, f"entry {number} is not an object")


JSON = Format("json", ("json",), read=read_json)
