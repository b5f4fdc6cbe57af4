"""JSON: one document with a list of objects, loaded as a whole."""

import json
from collections.abc import Collection, Iterator
from typing import IO

from tribunal.formats.format import BYTE_ORDER_MARK, Format, Row, UnreadableFile
from tribunal.formats.jsonl import read_jsonl


def read_json(stream: IO[bytes], _: Collection[str] | None) -> Iterator[Row]:
    """The objects of a list or of JSON Lines, because files of both are named `.json`."""
    content = stream.read().removeprefix(BYTE_ORDER_MARK)
    if not content.lstrip().startswith(b"["):
        yield from read_jsonl(content.splitlines())
        return
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"it is not JSON: {error}") from error
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, dict):
            yield Row(entry)
        else:
            yield Row({"line": json.dumps(entry)}, f"entry {number} is not an object")


JSON = Format("json", ("json",), read=read_json)
