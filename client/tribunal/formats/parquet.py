"""Parquet, by pyarrow; reads and writes in blocks, so that memory does not grow with the file."""

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tribunal.formats.format import Fields, Format, Records, Row, UnreadableFile
from tribunal.formats.jsonl import json_text

if TYPE_CHECKING:
    import pyarrow

READ_ROWS = 512
BLOCK_ROWS = 8192


def read_parquet(stream: IO[bytes], columns: Collection[str] | None) -> Iterator[Row]:
    """The rows with only `columns`, or all; raises UnreadableFile, also if a column is missing."""
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(stream)
        names = file.schema_arrow.names
        missing = [name for name in columns or () if name not in names]
        if missing:
            raise UnreadableFile(f"it has no column {missing[0]!r}; it has: {', '.join(names)}")
        for batch in file.iter_batches(READ_ROWS, columns=None if columns is None else list(columns)):
            yield from map(Row, batch.to_pylist())
    except pyarrow.ArrowException as error:
        raise UnreadableFile(str(error)) from error


def count_rows(stream: IO[bytes]) -> int:
    """Number of rows by the file's footer; raises UnreadableFile."""
    import pyarrow.parquet

    try:
        return int(pyarrow.parquet.ParquetFile(stream).metadata.num_rows)
    except pyarrow.ArrowException as error:
        raise UnreadableFile(str(error)) from error


def write_parquet(records: Records, output: Path, filled: Fields) -> None:
    """Write `records`; a field whose values have no common type becomes JSON text."""
    import pyarrow.parquet

    own, json_fields = _schema_of(records, set(filled))
    schema = pyarrow.schema([*own, *_schema_of_filled(filled)])
    with pyarrow.parquet.ParquetWriter(output, schema) as writer:
        for block in _blocks(records()):
            for record in block:
                for name in json_fields & set(record):
                    if record[name] is not None:
                        record[name] = json_text(record[name])
            writer.write_table(pyarrow.Table.from_pylist(block, schema=schema))


def write_beside(records: Records, output: Path, filled: Fields, source: Path) -> None:
    """Write the columns of the Parquet file `source` unchanged, and the records' fields of `filled`."""
    import pyarrow.parquet

    added = _schema_of_filled(filled)
    rows = records()
    with pyarrow.parquet.ParquetFile(source) as columns:
        kept = [name for name in columns.schema_arrow.names if name not in filled]
        schema = pyarrow.schema([*(columns.schema_arrow.field(name) for name in kept), *added])
        with pyarrow.parquet.ParquetWriter(output, schema) as writer:
            for batch in columns.iter_batches(BLOCK_ROWS, columns=kept):
                beside = pyarrow.Table.from_pylist(list(islice(rows, batch.num_rows)), schema=added)
                arrays = [*batch.columns, *beside.columns]
                writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _schema_of_filled(filled: Fields) -> "pyarrow.Schema":
    import pyarrow

    return pyarrow.schema({name: pyarrow.array([value]).type for name, value in filled.items()})


def _schema_of(records: Records, known: Collection[str]) -> tuple["pyarrow.Schema", set[str]]:
    """The common type of each field's values, and the fields without one; omits the `known` fields."""
    import pyarrow

    types: dict[str, Any] = {}
    json_fields: set[str] = set()
    for block in _blocks(records()):
        names = dict.fromkeys(name for record in block for name in record if name not in known)
        for name in names:
            if name in json_fields:
                continue
            try:
                in_block = pyarrow.array([record.get(name) for record in block]).type
                merged = pyarrow.unify_schemas(
                    [pyarrow.schema({name: types.get(name, in_block)}), pyarrow.schema({name: in_block})],
                    promote_options="permissive",
                )
                types[name] = merged.field(name).type
            except (pyarrow.ArrowException, OverflowError):
                json_fields.add(name)
                types[name] = pyarrow.string()
    # Parquet has no empty struct.
    for name, type_ in types.items():
        if "struct<>" in str(type_):
            json_fields.add(name)
            types[name] = pyarrow.string()
    return pyarrow.schema(types), json_fields


def _blocks(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while block := list(islice(records, BLOCK_ROWS)):
        yield block


PARQUET = Format(
    "parquet",
    ("parquet",),
    read=read_parquet,
    is_stream=False,
    has_columns=True,
    count_rows=count_rows,
    write=write_parquet,
    write_beside=write_beside,
)
