"""Reads the rows of a scan, turns them into records, and makes the output."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tribunal.contract import VERDICT, JudgeMode
from tribunal.errors import InvalidInput
from tribunal.formats.field import FieldName
from tribunal.formats.format import Format, Reading, Row
from tribunal.formats.input import Input
from tribunal.formats.registry import InputFormat
from tribunal.scan.journal import identity, work_records
from tribunal.scan.records import (
    OUTCOME,
    ItemsRecord,
    Record,
    filled_outcome,
    problem_of,
    to_record,
)
from tribunal.scan.retry import to_retry

# In a format without columns, the text field is wrong if this many first records lack it.
FIRST_RECORDS = 100


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of the command line.

    source: path, or `-` for standard input. concurrency: requests in flight. batch_size: texts in one.
    """

    source: str
    input_format: InputFormat
    output: Path
    output_format: Format
    text_field: str
    judge: JudgeMode | None
    explain: bool
    spans: bool
    concurrency: int
    batch_size: int

    @property
    def field(self) -> FieldName:
        """The field of the texts; in a table it is a column."""
        return FieldName(self.text_field, is_nested=not self.input_format.format.is_delimited)

    def require_output(self) -> None:
        """Raise InvalidInput if the output's format cannot hold the verdicts."""
        if self.field.is_list and self.output_format.restore is not None:
            raise InvalidInput(
                f"--text-field {self.text_field} gives a list of verdicts, and {self.output_format.name} "
                "has a column for each value of one verdict: give a .jsonl or .parquet output"
            )

    @property
    def questions(self) -> dict[str, object]:
        """The options of each record's request, which must stay the same for an output."""
        return {
            "text_field": self.text_field,
            "judge": self.judge,
            "explain": self.explain,
            "spans": self.spans,
        }

    @property
    def origin(self) -> dict[str, object]:
        """The identity of the output's input."""
        input_format = {"kind": self.input_format.format.name, "compression": self.input_format.compression}
        return {
            "format": input_format,
            "encoding": self.input_format.encoding,
            "delimiter": self.input_format.delimiter,
            "input": identity(self.source),
        }


@dataclass(frozen=True)
class Pass:
    """One pass over rows, to an output.

    source, input_format: of the rows. text_field: of their texts. is_retry: the rows are a finished output.
    """

    source: str
    input_format: InputFormat
    output_format: Format
    text_field: FieldName
    is_retry: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the work file keeps the fields of each record, and not only its outcome.

        It need not keep columns that the output copies from the source.
        """
        return self.output_format.write_beside is None or self.input_format.format is not self.output_format

    def open(self) -> Input:
        """The input, with only the needed columns if the others are copied at the end."""
        needed = OUTCOME if self.is_retry else ()
        reading = Reading(
            columns=None if self.is_whole else needed,
            reserved=() if self.is_retry else OUTCOME,
            text_field=self.text_field,
            is_output=self.is_retry,
            exact=True,
        )
        return Input(self.source, self.input_format, reading)

    def rows(self, opened: Input) -> Iterator[Row]:
        """The rows; raises InvalidInput if the first rows of an input all have no text."""
        rows = opened.rows()
        if self.is_retry:
            return rows
        return _rows_with_text(rows, self.text_field, self.source, self._first_rows)

    def require_text_field(self) -> None:
        """Raise the error of `rows` early, if the source can be read more than once."""
        if not Path(self.source).is_file():
            return
        with Input(self.source, self.input_format, Reading(text_field=self.text_field)) as opened:
            for _ in islice(self.rows(opened), self._first_rows):
                pass

    @property
    def _first_rows(self) -> int:
        """Number of first rows that show whether the field exists."""
        return 1 if self.input_format.format.has_columns else FIRST_RECORDS

    def to_record(self, row: Row) -> Record | ItemsRecord:
        """The record of a row."""
        if self.is_retry:
            return to_retry(row, self.text_field, self.input_format.format.restore)
        return to_record(row, self.text_field)

    def output_writer(self) -> Callable[[Path, Path], None] | None:
        """Makes the output from the work file; None if the work file becomes the output."""
        write, write_beside = self.output_format.write, self.output_format.write_beside
        filled = partial(_filled_outcome_of, is_list=self.text_field.is_list)
        if write_beside is not None and not self.is_whole:
            source = Path(self.source)
            return lambda part, output: write_beside(
                partial(work_records, part), output, filled(part), source
            )
        if write is not None:
            return lambda part, output: write(partial(work_records, part), output, filled(part))
        return None


def _rows_with_text(
    rows: Iterator[Row], text_field: FieldName, source: str, first_rows: int
) -> Iterator[Row]:
    """`rows`; raises InvalidInput if the first readable ones all lack the text field, or it is no string."""
    lacking = 0
    problem = None
    names: dict[str, None] = {}
    for row in rows:
        if row.problem is None:
            row_problem = problem_of(row.fields, text_field)
            if row_problem is None:
                yield row
                yield from rows
                return
            lacking += 1
            problem = problem or row_problem
            names.update(dict.fromkeys(row.fields))
            if lacking == first_rows:
                break
        yield row
    if lacking and text_field.steps_among(list(names))[0] in names:
        raise InvalidInput(f"{source}: {problem}: name a field of texts with --text-field")
    if lacking:
        raise InvalidInput(
            f"{source} has no field {text_field.name!r}; it has "
            f"{', '.join(map(repr, names)) or 'none'}: name one with --text-field"
        )


def _filled_outcome_of(part: Path, *, is_list: bool) -> dict[str, Any]:
    """A filled outcome with the categories and spans of the first verdict in the work file."""
    outcomes = (record[VERDICT] for record in work_records(part))
    verdicts = chain.from_iterable((outcome or ()) if is_list else (outcome,) for outcome in outcomes)
    first = next((verdict for verdict in verdicts if verdict is not None), None)
    if first is None:
        return filled_outcome((), is_list=is_list)
    return filled_outcome(first["categories"]["scores"], spans="spans" in first, is_list=is_list)
