"""Parquet from a work file, in blocks, so that memory does not grow with the input."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from tribunal.scan.records import ERROR, OUTCOME, VERDICT

BLOCK_ROWS = 8192


def from_records(work: Path, output: Path) -> None:
    """Write the whole records of `work`; a field whose values have no common type becomes JSON text."""
    schema, as_json = _schema_of_fields(work)
    outcome = _schema_of_outcome(work)
    whole = pyarrow.schema([*schema, *outcome])
    with pyarrow.parquet.ParquetWriter(output, whole) as writer:
        for block in _blocks(work):
            for record in block:
                for name in as_json & set(record):
                    if record[name] is not None:
                        record[name] = json.dumps(record[name], ensure_ascii=False)
            writer.write_table(pyarrow.Table.from_pylist(block, schema=whole))


def from_columns(work: Path, output: Path, source: Path) -> None:
    """Write the columns of the Parquet file `source` as they are, with the outcomes of `work` beside them."""
    outcome = _schema_of_outcome(work)
    with pyarrow.parquet.ParquetFile(source) as columns:
        kept = [name for name in columns.schema_arrow.names if name not in OUTCOME]
        whole = pyarrow.schema([*(columns.schema_arrow.field(name) for name in kept), *outcome])
        lines = _records(work)
        with pyarrow.parquet.ParquetWriter(output, whole) as writer:
            for batch in columns.iter_batches(BLOCK_ROWS, columns=kept):
                beside = pyarrow.Table.from_pylist(list(islice(lines, batch.num_rows)), schema=outcome)
                arrays = [*batch.columns, *beside.columns]
                writer.write_table(pyarrow.Table.from_arrays(arrays, schema=whole))


def _schema_of_outcome(work: Path) -> pyarrow.Schema:
    """Types of `verdict` and `error`; the categories are those of the first verdict."""
    text, number = pyarrow.string(), pyarrow.float64()
    verdicts = (record[VERDICT] for record in _records(work))
    first = next((verdict for verdict in verdicts if verdict is not None), None)
    # Without any verdict there is nothing to type.
    verdict: Any = pyarrow.null()
    if first is not None:
        verdict = pyarrow.struct(
            {
                "flagged": pyarrow.bool_(),
                "refusal": pyarrow.struct({"detected": pyarrow.bool_(), "score": number}),
                "categories": pyarrow.struct(
                    {
                        "flagged": pyarrow.list_(text),
                        "scores": pyarrow.struct(dict.fromkeys(first["categories"]["scores"], number)),
                    }
                ),
                "toxicity": pyarrow.struct({"status": text, "label": text, "score": number, "reason": text}),
                "windows": pyarrow.int64(),
                "truncated": pyarrow.bool_(),
            }
        )
    return pyarrow.schema({VERDICT: verdict, ERROR: text})


def _schema_of_fields(work: Path) -> tuple[pyarrow.Schema, set[str]]:
    """Types that hold every value, by field, and the fields that have none."""
    types: dict[str, Any] = {}
    as_json: set[str] = set()
    for block in _blocks(work):
        names = dict.fromkeys(name for record in block for name in record if name not in OUTCOME)
        for name in names:
            if name in as_json:
                continue
            try:
                found = pyarrow.array([record.get(name) for record in block]).type
                merged = pyarrow.unify_schemas(
                    [pyarrow.schema({name: types.get(name, found)}), pyarrow.schema({name: found})],
                    promote_options="permissive",
                )
                types[name] = merged.field(name).type
            except (pyarrow.ArrowException, OverflowError):
                as_json.add(name)
                types[name] = pyarrow.string()
    # Parquet has no structure without fields.
    for name, kind in types.items():
        if "struct<>" in str(kind):
            as_json.add(name)
            types[name] = pyarrow.string()
    return pyarrow.schema(types), as_json


def _blocks(work: Path) -> Iterator[list[dict[str, Any]]]:
    records = _records(work)
    while block := list(islice(records, BLOCK_ROWS)):
        yield block


def _records(work: Path) -> Iterator[dict[str, Any]]:
    with work.open("rb") as lines:
        for line in lines:
            yield json.loads(line)
