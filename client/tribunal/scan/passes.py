"""What a scan reads, what becomes of each row, and how the output is made."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tribunal.contract import VERDICT, JudgeMode
from tribunal.formats.format import Format, Row
from tribunal.formats.input import Input
from tribunal.formats.registry import InputFormat
from tribunal.scan.journal import identity, work_records
from tribunal.scan.records import OUTCOME, Record, filled_outcome, to_record, to_retry


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says of a scan; see its help."""

    source: str
    input_format: InputFormat
    output: Path
    output_format: Format
    text_field: str
    judge: JudgeMode | None
    explain: bool
    concurrency: int
    batch_size: int

    @property
    def questions(self) -> dict[str, object]:
        """What is asked of each record, which is the same throughout an output."""
        return {"text_field": self.text_field, "judge": self.judge, "explain": self.explain}

    @property
    def origin(self) -> dict[str, object]:
        """Which input an output is of."""
        input_format = {"kind": self.input_format.format.name, "compression": self.input_format.compression}
        return {"format": input_format, "input": identity(self.source)}


@dataclass(frozen=True)
class Pass:
    """One pass over rows, to an output.

    source, input_format: where the rows come from. is_retry: they are a finished output.
    """

    source: str
    input_format: InputFormat
    output_format: Format
    is_retry: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the work file keeps the fields of each record, and not its outcome alone.

        Columns that the output takes from the source as they are need not be kept.
        """
        return self.output_format.write_beside is None or self.input_format.format is not self.output_format

    def open(self, text_field: str) -> Input:
        """The input; only with the columns that are needed, where the others are copied at the end."""
        needed = (text_field, *OUTCOME) if self.is_retry else (text_field,)
        return Input(self.source, self.input_format, columns=None if self.is_whole else needed)

    def to_record(self, row: Row, text_field: str) -> Record:
        """What becomes of a row."""
        if self.is_retry:
            return to_retry(row, text_field, self.input_format.format.restore)
        return to_record(row, text_field)

    def output_writer(self) -> Callable[[Path, Path], None] | None:
        """Makes the output from the work file; None where the work file becomes the output."""
        write, write_beside = self.output_format.write, self.output_format.write_beside
        if write_beside is not None and not self.is_whole:
            source = Path(self.source)
            return lambda part, output: write_beside(
                partial(work_records, part), output, _filled_outcome_of(part), source
            )
        if write is not None:
            return lambda part, output: write(partial(work_records, part), output, _filled_outcome_of(part))
        return None


def _filled_outcome_of(part: Path) -> dict[str, Any]:
    """A filled outcome with the categories of the first verdict in the work file."""
    verdicts = (record[VERDICT] for record in work_records(part))
    first = next((verdict for verdict in verdicts if verdict is not None), None)
    return filled_outcome(first["categories"]["scores"] if first else ())
