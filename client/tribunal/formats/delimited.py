"""CSV and TSV: a header, and rows of text cells."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any

from tribunal.formats.format import (
    AS_USUAL,
    Fields,
    Format,
    Reading,
    Records,
    Row,
    UnreadableFile,
    as_text,
    lines_of,
    unreadable_row,
)
from tribunal.formats.json_values import NumberLiteral, json_text, plain_text

MAX_CELL_CHARACTERS = 2**24
MAX_SHOWN_CHARACTERS = 200
COMMA, SEMICOLON, TAB = ",", ";", "\t"
# A quoted cell, of which a header in several lines may lack the end.
QUOTED = re.compile(rb'"[^"]*("|$)')


def read_delimited(lines: Iterator[bytes], delimiter: str, reading: Reading = AS_USUAL) -> Iterator[Row]:
    """Rows below the header in the first line; raises UnreadableFile for an invalid header."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    lines_of_row: list[bytes] = []

    def decoded() -> Iterator[str]:
        for line in lines:
            lines_of_row.append(line)
            yield line.decode("utf-8", "surrogateescape")

    reader = csv.reader(decoded(), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    not_decoded = f"is not {reading.encoding_shown}"
    while True:
        lines_of_row.clear()
        problem, cells = None, []
        try:
            cells = next(reader)
            "".join(cells).encode("utf-8")
        except StopIteration:
            return
        except UnicodeEncodeError:
            problem = not_decoded
        except csv.Error as error:
            problem = f"is not CSV: {error}"
        if header is None:
            if problem == not_decoded:
                raise UnreadableFile(
                    f"the first line {problem}: give --encoding, for example cp1252 or latin-1"
                )
            header = [] if problem else cells
            _require_names(header, b"".join(lines_of_row))
            continue
        if not cells and not problem:
            continue
        if problem is None and len(cells) != len(header):
            problem = f"has {len(cells)} cells and the header {len(header)}"
        if problem is None:
            yield Row(dict(zip(header, cells, strict=True)))
        else:
            yield unreadable_row(
                b"".join(lines_of_row), f"the row that ends in line {reader.line_num} {problem}"
            )


def _require_names(header: Sequence[str], lines: bytes) -> None:
    """Raise UnreadableFile, which shows the header's `lines`, unless each column has a name of its own."""
    if not header or not all(header) or len(set(header)) < len(header):
        shown = as_text(lines)[:MAX_SHOWN_CHARACTERS]
        shown = "".join(character if character.isprintable() else " " for character in shown)
        raise UnreadableFile(f"the first line must name each column once, and is: {shown}")


def read_table(stream: IO[bytes], reading: Reading, usual: str) -> Iterator[Row]:
    """The rows of a file whose delimiter is `usual`, another that was given, or `;` in place of a comma."""
    lines = lines_of(stream)
    header = next(lines, b"")
    delimiter = reading.delimiter or (_delimiter_in(header) if usual == COMMA else usual)
    yield from read_delimited(chain([header] if header else [], lines), delimiter, reading)


def _delimiter_in(header: bytes) -> str:
    """`;` if the header has it and no comma outside of quotes, else the comma."""
    unquoted = QUOTED.sub(b"", header)
    return SEMICOLON if b";" in unquoted and b"," not in unquoted else COMMA


def write_delimited(records: Records, output: Path, filled: Fields, delimiter: str) -> None:
    """Write a header and `records`; the records' own fields come first.

    A field that is an object in `filled` becomes one column for each of its values, such as
    `verdict.refusal.score`. Values other than text are written as JSON, and null as an empty cell.
    """
    own = dict.fromkeys(name for record in records() for name in record if name not in filled)
    header = [*own, *(column for name, value in filled.items() for column in _columns(name, value))]
    with output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        for record in records():
            parts = [cell for name, value in filled.items() for cell in _take_apart(record[name], value)]
            writer.writerow([*(_cell(record.get(name)) for name in own), *parts])


def restore_fields(cells: Fields, filled: Fields) -> dict[str, Any]:
    """The fields of a row that `write_delimited` wrote with the same `filled`."""
    columns = {name: list(_columns(name, value)) for name, value in filled.items()}
    taken = {column for names in columns.values() for column in names}
    own = {name: cell for name, cell in cells.items() if name not in taken}
    return {**own, **{name: _put_together(name, cells, value) for name, value in filled.items()}}


def _columns(name: str, filled: Any) -> Iterator[str]:
    if isinstance(filled, dict):
        for key, value in filled.items():
            yield from _columns(f"{name}.{key}", value)
    else:
        yield name


def _take_apart(value: Any, filled: Any) -> Iterator[str]:
    if isinstance(filled, dict):
        for key, part in filled.items():
            yield from _take_apart(None if value is None else value[key], part)
    else:
        yield _cell(value)


def _put_together(name: str, cells: Fields, filled: Any) -> Any:
    if isinstance(filled, dict):
        parts = {key: _put_together(f"{name}.{key}", cells, part) for key, part in filled.items()}
        return None if all(part is None for part in parts.values()) else parts
    cell = cells[name]
    if isinstance(filled, str):
        return cell or None
    return json.loads(cell) if cell else None


def _cell(value: Any) -> str:
    """Text unchanged, null as an empty cell, and numbers, lists and objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float | NumberLiteral | list | tuple | dict):
        return json_text(value)
    return plain_text(value)


def _format(name: str, delimiter: str) -> Format:
    return Format(
        name,
        (name,),
        read=partial(read_table, usual=delimiter),
        is_delimited=True,
        has_columns=True,
        write=partial(write_delimited, delimiter=delimiter),
        restore=restore_fields,
    )


CSV = _format("csv", COMMA)
TSV = _format("tsv", TAB)
