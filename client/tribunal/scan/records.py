"""Rows as records: the text to ask about, and what is written of each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tribunal.errors import InvalidInput, TribunalError
from tribunal.scan.rows import Row
from tribunal.verdict import Verdict

VERDICT, ERROR = "verdict", "error"
OUTCOME = (VERDICT, ERROR)


@dataclass(frozen=True)
class Record:
    """A record of the input, or with its outcome of the output.

    fields: as they were read, without those of the outcome.
    text: what to ask about; None where there is none, or where the outcome stands already.
    verdict, error: the outcome, as it is written; both None where it is yet to come.
    """

    fields: Mapping[str, Any]
    text: str | None = None
    verdict: dict[str, Any] | None = None
    error: str | None = None

    def answered(self, answer: Verdict | TribunalError) -> "Record":
        """This record with its outcome."""
        if isinstance(answer, Verdict):
            return Record(self.fields, verdict=_document(answer))
        return Record(self.fields, error=f"{type(answer).__name__}: {answer}")

    def line(self, *, whole: bool) -> bytes:
        """One line of JSON: the fields, if `whole`, then `verdict` and `error`."""
        fields = self.fields if whole else {}
        document = {**fields, VERDICT: self.verdict, ERROR: self.error}
        return json.dumps(document, ensure_ascii=False, default=_plain).encode("utf-8") + b"\n"


def to_record(row: Row, text_field: str) -> Record:
    """A row of the input; one without a text gets an error as its outcome.

    Raises InvalidInput where the row has fields of the outcome's names, which would be lost.
    """
    if row.problem is not None:
        return Record(row.fields, error=f"InvalidInput: {row.problem}")
    for name in OUTCOME:
        if name in row.fields:
            raise InvalidInput(
                f"the input has a field {name!r}, which the output uses: rename it"
                + (", or give --retry-failed to ask failures again" if VERDICT in row.fields else "")
            )
    text = row.fields.get(text_field)
    if isinstance(text, str):
        return Record(row.fields, text=text)
    if text_field not in row.fields:
        found = f"has no field {text_field!r}, it has {', '.join(map(repr, row.fields))}"
    else:
        found = f"field {text_field!r} is {'null' if text is None else type(text).__name__}, not a string"
    return Record(row.fields, error=f"InvalidInput: {found}")


def to_retry(row: Row, text_field: str) -> Record:
    """A row of a finished output; one that failed is asked again, if it has a text."""
    fields = {name: value for name, value in row.fields.items() if name not in OUTCOME}
    verdict, error = row.fields.get(VERDICT), row.fields.get(ERROR)
    text = fields.get(text_field)
    if verdict is None and isinstance(text, str):
        return Record(fields, text=text)
    return Record(fields, verdict=verdict, error=error)


ToRecord = Callable[[Row, str], Record]


def _document(verdict: Verdict) -> dict[str, Any]:
    """What `dataclasses.asdict` gives, in a small part of its time."""
    parts = {name: vars(getattr(verdict, name)) for name in ("refusal", "categories", "toxicity")}
    return {**vars(verdict), **parts}


def _plain(value: object) -> str:
    """What Parquet has and JSON has not: bytes, dates, decimals."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
