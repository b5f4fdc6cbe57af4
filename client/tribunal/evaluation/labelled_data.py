"""Texts with labels, from the rows of a source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tribunal.errors import InvalidInput
from tribunal.evaluation.labels import (
    LabelReader,
    categories_reader,
    category_columns_reader,
    class_name_of,
    yes_or_no_reader,
)
from tribunal.evaluation.sources import Source, Table, read_table
from tribunal.evaluation.target import LABEL_FIELDS, TEXT_FIELDS, Target


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and their labels.

    names: of the columns of `labels`: `REJECTION`, `toxic`, or the categories.
    labels: BOOL [texts, names].
    """

    texts: list[str]
    names: tuple[str, ...]
    labels: npt.NDArray[np.bool_]


def read_labelled(source: Source, target: Target, categories: Sequence[str]) -> LabelledTexts:
    """Labelled texts of `source`; `categories` are the names of the server's categories.

    Raises InvalidInput, which names the row and what was expected, for a file that cannot be read, a
    column that is not there, a text that is no string, or a label that `target` does not know.
    """
    table = read_table(source)
    text_field = _find_column("text", source.text_field, TEXT_FIELDS, table, source)
    reader = _label_reader(source, target, categories, table)
    texts = []
    labels = np.zeros((len(table.rows), len(reader.names)), dtype=np.bool_)
    for index, row in enumerate(table.rows):
        text = row.get(text_field)
        if not isinstance(text, str):
            raise InvalidInput(
                f"row {index + 1} of {source.location}: {text_field} is a {type(text).__name__}, not a text"
            )
        texts.append(text)
        try:
            labels[index] = reader.read(row)
        except ValueError as error:
            raise InvalidInput(f"row {index + 1} of {source.location}: {error}") from error
    return LabelledTexts(texts, reader.names, labels)


def _label_reader(source: Source, target: Target, categories: Sequence[str], table: Table) -> LabelReader:
    """The reader for the named or found column of labels, or for one column per category."""
    usual = LABEL_FIELDS[target]
    has_category_columns = (
        target is Target.aegis
        and source.label_field is None
        and not set(usual) & set(table.columns)
        and set(categories) & set(table.columns)
    )
    if has_category_columns:
        missing = [name for name in categories if name not in table.columns]
        if missing:
            raise InvalidInput(f"{source.location} has no column for {', '.join(missing)}")
        return category_columns_reader(categories)
    field = _find_column("label", source.label_field, usual, table, source)
    class_name = class_name_of(table.features.get(field))
    if target is Target.aegis:
        return categories_reader(field, categories, class_name)
    return yes_or_no_reader(field, target, class_name)


def _find_column(kind: str, asked: str | None, usual: Sequence[str], table: Table, source: Source) -> str:
    """The column that is asked for, or the first of the usual ones; raises InvalidInput for neither."""
    for name in usual if asked is None else (asked,):
        if name in table.columns:
            return name
    wanted = f"{kind} column ({', '.join(usual)})" if asked is None else repr(asked)
    raise InvalidInput(
        f"{source.location} has no {wanted}; its columns are {', '.join(table.columns)}: name one with "
        f"--{kind}-field"
    )
