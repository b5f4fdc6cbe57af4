"""Rows of a finished output as records, whose failures are retried."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tribunal.contract import SPANS, VERDICT
from tribunal.formats.field import FieldName, NoSuchField
from tribunal.formats.format import Row
from tribunal.scan.records import (
    ERROR,
    NO_TEXT,
    VERDICT_COLUMN,
    ItemsRecord,
    Record,
    filled_outcome,
    without_outcome,
)

SCORE_COLUMN = f"{VERDICT_COLUMN}categories.scores."
SPANS_COLUMN = f"{VERDICT_COLUMN}{SPANS}"

Restore = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]


def to_retry(row: Row, text_field: FieldName, restore: Restore | None = None) -> Record | ItemsRecord:
    """A row of a finished output; a failed row is retried if it has a text, and of a list the failed items.

    restore: of the output's format, if the format splits a verdict into columns. Such a format has only
    strings, so the error tells whether the record had a text.
    """
    row_fields = row.fields
    if restore is not None:
        categories = [name.removeprefix(SCORE_COLUMN) for name in row_fields if name.startswith(SCORE_COLUMN)]
        row_fields = restore(row_fields, filled_outcome(categories, spans=SPANS_COLUMN in row_fields))
    fields = without_outcome(row_fields)
    verdict, error = row_fields.get(VERDICT), row_fields.get(ERROR)
    if text_field.is_list:
        return _items_to_retry(fields, text_field, verdict, error)
    was_asked = restore is None or not (error or "").startswith(NO_TEXT)
    if verdict is None and was_asked:
        text = _values_of_output(fields, text_field)[:1]
        if text and isinstance(text[0], str):
            return Record(fields, text=text[0])
    return Record(fields, verdict=verdict, error=error)


def _items_to_retry(
    fields: Mapping[str, Any],
    text_field: FieldName,
    verdicts: Sequence[dict[str, Any] | None] | None,
    errors: Sequence[str | None] | None,
) -> ItemsRecord:
    if verdicts is None:
        return ItemsRecord(fields, problem=(errors or [""])[0])
    failed = Record({}, error="")
    items = [Record({}, verdict=verdict) if verdict else failed for verdict in verdicts]
    for place, error in enumerate(errors or ()):
        if error is not None:
            items[place] = Record({}, error=error)
    values = _values_of_output(fields, text_field)
    if len(values) == len(items):
        for place, value in enumerate(values):
            if items[place].verdict is None and isinstance(value, str):
                items[place] = Record({}, text=value)
    return ItemsRecord(fields, tuple(items))


def _values_of_output(fields: Mapping[str, Any], text_field: FieldName) -> list[Any]:
    """The values of the text field in an output, which may have an object or a list as JSON; [] if none."""
    column, *below = text_field.steps_among(list(fields))
    if below and isinstance(fields.get(column), str):
        try:
            fields = {column: json.loads(fields[column])}
        except ValueError:
            return []
    try:
        return text_field.values(fields)
    except NoSuchField:
        return []
