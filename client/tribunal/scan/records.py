"""Rows as records: the text to moderate, and the line to write."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tribunal.contract import SPANS, VERDICT
from tribunal.errors import InvalidInput, TribunalError
from tribunal.formats.format import Row
from tribunal.formats.jsonl import json_text
from tribunal.verdict import Categories, Refusal, Span, Toxicity, Verdict

ERROR = "error"
OUTCOME = (VERDICT, ERROR)
# The columns of a format that has no objects, such as CSV, begin with this.
VERDICT_COLUMN = f"{VERDICT}."
SCORE_COLUMN = f"{VERDICT_COLUMN}categories.scores."
SPANS_COLUMN = f"{VERDICT_COLUMN}{SPANS}"
# Begins the error of a record without a text, which was not sent to the server.
NO_TEXT = "NoText: "

Restore = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Record:
    """A record of the input, or with its outcome of the output.

    fields: of the input, without those of the outcome.
    text: the text to moderate; None if there is none, or if the record already has its outcome.
    verdict, error: the outcome, as written; both None before it is known.
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
        return f"{json_text({**fields, VERDICT: self.verdict, ERROR: self.error})}\n".encode()


def to_record(row: Row, text_field: str) -> Record:
    """A row of the input; one without a text gets an error as its outcome.

    Raises InvalidInput if the row has fields with the names of the outcome's, which would be overwritten.
    """
    if row.problem is not None:
        return Record(row.fields, error=f"{NO_TEXT}{row.problem}")
    for name in row.fields:
        if name in OUTCOME or name.startswith(VERDICT_COLUMN):
            raise InvalidInput(
                f"the input has a field {name!r}, which the output uses: rename it"
                + ("" if name == ERROR else ", or give --retry-failed to retry failures")
            )
    text = row.fields.get(text_field)
    if isinstance(text, str):
        return Record(row.fields, text=text)
    if text_field not in row.fields:
        problem = f"has no field {text_field!r}, it has {', '.join(map(repr, row.fields))}"
    else:
        problem = f"field {text_field!r} is {'null' if text is None else type(text).__name__}, not a string"
    return Record(row.fields, error=f"{NO_TEXT}{problem}")


def to_retry(row: Row, text_field: str, restore: Restore | None = None) -> Record:
    """A row of a finished output; a failed row is retried if it has a text.

    restore: of the output's format, if the format splits a verdict into columns. Such a format has only
    strings, so the error tells whether the record had a text.
    """
    row_fields = row.fields
    if restore is not None:
        categories = [name.removeprefix(SCORE_COLUMN) for name in row_fields if name.startswith(SCORE_COLUMN)]
        row_fields = restore(row_fields, filled_outcome(categories, spans=SPANS_COLUMN in row_fields))
    fields = without_outcome(row_fields)
    verdict, error = row_fields.get(VERDICT), row_fields.get(ERROR)
    text = fields.get(text_field)
    was_asked = restore is None or not (error or "").startswith(NO_TEXT)
    if verdict is None and was_asked and isinstance(text, str):
        return Record(fields, text=text)
    return Record(fields, verdict=verdict, error=error)


def without_outcome(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the record had in the input."""
    return {name: value for name, value in fields.items() if name not in OUTCOME}


def filled_outcome(categories: Iterable[str], *, spans: bool = False) -> dict[str, Any]:
    """An outcome with a value in every field, which gives a format the fields and their types.

    categories: of the server; empty if no record has a verdict, and the verdict then has no fields.
    spans: whether they were requested.
    """
    scores = dict.fromkeys(categories, 0.0)
    refusal, filled = Refusal(detected=True, score=0.0), Categories(flagged=("",), scores=scores)
    verdict = Verdict(
        flagged=True,
        refusal=refusal,
        categories=filled,
        toxicity=Toxicity(status="answered", label="toxic", score=0.0, reason=""),
        windows=1,
        truncated=False,
        spans=(Span(0, 0, refusal, filled),) if spans else None,
    )
    return {VERDICT: _document(verdict) if scores else None, ERROR: ""}


def _document(verdict: Verdict) -> dict[str, Any]:
    """The same as `verdict.as_document`, but much faster."""
    document = {**vars(verdict), **_parts(verdict), "toxicity": vars(verdict.toxicity)}
    if verdict.spans is None:
        del document[SPANS]
    else:
        document[SPANS] = [{**vars(span), **_parts(span)} for span in verdict.spans]
    return document


def _parts(of: Verdict | Span) -> dict[str, Any]:
    return {"refusal": vars(of.refusal), "categories": vars(of.categories)}
