"""Parquet, by pyarrow; reads and writes in blocks, so that memory does not grow with the file."""

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tribunal.formats.field import ITEMS, FieldName
from tribunal.formats.format import Fields, Format, Reading, Records, Row, UnreadableFile
from tribunal.formats.json_values import json_text, plain_numbers

if TYPE_CHECKING:
    import pyarrow

READ_ROWS = 512
BLOCK_ROWS = 8192


def read_parquet(stream: IO[bytes], reading: Reading) -> Iterator[Row]:
    """The rows, with the needed columns or all; values of bytes that are UTF-8 become text.

    Raises UnreadableFile, also if a needed column is missing, or if that of the texts holds no text.
    """
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(stream)
        schema = file.schema_arrow
        columns = _needed(schema, reading)
        missing = [name for name in columns or () if name not in schema.names]
        if missing:
            raise UnreadableFile(f"it has no column {missing[0]!r}; it has: {', '.join(schema.names)}")
        if reading.text_field is not None and not reading.is_output:
            _require_text(schema, reading.text_field)
        of_bytes = [field.name for field in schema if "binary" in str(field.type)]
        for batch in file.iter_batches(READ_ROWS, columns=columns):
            for fields in batch.to_pylist():
                fields.update({name: _as_text(fields[name]) for name in of_bytes if name in fields})
                yield Row(fields)
    except pyarrow.ArrowException as error:
        raise UnreadableFile(str(error)) from error


def _needed(schema: "pyarrow.Schema", reading: Reading) -> list[str] | None:
    if reading.columns is None:
        return None
    text = [] if reading.text_field is None else [reading.text_field.steps_among(schema.names)[0]]
    return [*text, *reading.columns, *(name for name in reading.reserved if name in schema.names)]


def _require_text(schema: "pyarrow.Schema", text_field: FieldName) -> None:
    """Raise UnreadableFile if the field's column exists, and the field does not or holds no text."""
    name, *steps = text_field.steps_among(schema.names)
    if name not in schema.names:
        return
    type_ = schema.field(name).type
    for step in steps:
        below = _type_below(type_, step)
        if below is None:
            raise UnreadableFile(f"it has no field {text_field.name!r}; its column {name!r} is {type_}")
        type_ = below
    if not _may_be_text(type_):
        raise UnreadableFile(
            f"field {text_field.name!r} is {type_}, not a string: name a field of texts with --text-field"
        )


def _type_below(type_: Any, step: str) -> Any:
    """The type of a struct's field, or of a list's items; None if the type has none of them."""
    import pyarrow

    if step == ITEMS:
        return getattr(type_, "value_type", None)
    if pyarrow.types.is_struct(type_) and type_.get_field_index(step) >= 0:
        return type_.field(step).type
    return None


def _may_be_text(type_: Any) -> bool:
    import pyarrow

    if pyarrow.types.is_dictionary(type_):
        return _may_be_text(type_.value_type)
    if isinstance(type_, pyarrow.BaseExtensionType):
        return _may_be_text(type_.storage_type)
    is_text = any(word in str(type_) for word in ("string", "binary"))
    return pyarrow.types.is_null(type_) or (is_text and not pyarrow.types.is_nested(type_))


def _as_text(value: Any) -> Any:
    """`value` with text in place of bytes, also within it, where they are UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value
    if isinstance(value, dict):
        return {name: _as_text(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    return value


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
                for name, value in record.items():
                    if name in json_fields:
                        record[name] = None if value is None else json_text(value)
                    elif name not in filled:
                        record[name] = plain_numbers(value)
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
                in_block = pyarrow.array([plain_numbers(record.get(name)) for record in block]).type
                merged = pyarrow.unify_schemas(
                    [pyarrow.schema({name: types.get(name, in_block)}), pyarrow.schema({name: in_block})],
                    promote_options="permissive",
                )
                types[name] = merged.field(name).type
            except (pyarrow.ArrowException, OverflowError, RecursionError):
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
    is_text=False,
    is_stream=False,
    has_columns=True,
    count_rows=count_rows,
    write=write_parquet,
    write_beside=write_beside,
)
