"""Rows as records: the text to moderate, and the line to write."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from tribunal.contract import SPANS, VERDICT
from tribunal.errors import InvalidInput, TribunalError
from tribunal.formats.field import FieldName, Missing, NoSuchField, kind_of
from tribunal.formats.format import Row
from tribunal.formats.json_values import json_text
from tribunal.verdict import Categories, Refusal, Span, Toxicity, Verdict

ERROR = "error"
OUTCOME = (VERDICT, ERROR)
# The columns of a format that has no objects, such as CSV, begin with this.
VERDICT_COLUMN = f"{VERDICT}."
# Begins the error of a record without a text, which was not sent to the server.
NO_TEXT = "NoText: "

Answer = Verdict | TribunalError


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

    @property
    def texts(self) -> list[str]:
        """The texts to moderate."""
        return [] if self.text is None else [self.text]

    def answered(self, answers: Sequence[Answer]) -> "Record":
        """This record with its outcome, by an answer for each of `texts`."""
        if not answers:
            return self
        (answer,) = answers
        if isinstance(answer, Verdict):
            return Record(self.fields, verdict=_document(answer))
        return Record(self.fields, error=f"{type(answer).__name__}: {answer}")

    def line(self, *, whole: bool, on_null: Callable[[], None] = lambda: None) -> bytes:
        """One line of JSON: the fields, if `whole`, then `verdict` and `error`.

        on_null: called if a NaN or an infinite number becomes null.
        """
        return _line(self.fields if whole else {}, self.verdict, self.error, on_null)


@dataclass(frozen=True)
class ItemsRecord:
    """A record with a text in each item of a list.

    fields: as of Record. items: a Record without fields for each item.
    problem: why it has no such list, else None; it then has no items.
    """

    fields: Mapping[str, Any]
    items: tuple[Record, ...] = ()
    problem: str | None = None

    @property
    def texts(self) -> list[str]:
        """The texts to moderate, of all items."""
        return [text for item in self.items for text in item.texts]

    def answered(self, answers: Sequence[Answer]) -> "ItemsRecord":
        """This record with its outcome, by an answer for each of `texts`."""
        left = iter(answers)
        items = tuple(item.answered(list(islice(left, len(item.texts)))) for item in self.items)
        return replace(self, items=items)

    @property
    def verdict(self) -> list[dict[str, Any] | None] | None:
        """The verdict of each item, None for one that failed; None if there is no list."""
        return None if self.problem is not None else [item.verdict for item in self.items]

    @property
    def error(self) -> list[str | None] | None:
        """The error of each item, None for one with a verdict; the record's alone if there is no list.

        None if each item has a verdict.
        """
        if self.problem is not None:
            return [self.problem]
        errors = [item.error for item in self.items]
        return None if all(error is None for error in errors) else errors

    def line(self, *, whole: bool, on_null: Callable[[], None] = lambda: None) -> bytes:
        """The same as of Record."""
        return _line(self.fields if whole else {}, self.verdict, self.error, on_null)


def to_record(row: Row, text_field: FieldName) -> Record | ItemsRecord:
    """A row of the input; one without a text gets an error as its outcome.

    Raises InvalidInput if the row has fields with the names of the outcome's, which would be overwritten.
    """
    if row.problem is not None:
        return _without_text(row.fields, text_field, row.problem)
    for name in row.fields:
        if name in OUTCOME or name.startswith(VERDICT_COLUMN):
            raise InvalidInput(
                f"the input has a field {name!r}, which the output uses: rename it"
                + ("" if name == ERROR else ", or give --retry-failed to retry failures")
            )
    try:
        values = text_field.values(row.fields)
    except NoSuchField as error:
        return _without_text(row.fields, text_field, str(error))
    if text_field.is_list:
        return ItemsRecord(row.fields, tuple(text_record({}, value, text_field) for value in values))
    return text_record(row.fields, values[0], text_field)


def problem_of(fields: Mapping[str, Any], text_field: FieldName) -> str | None:
    """Why no record like this one has a text; None if it has one, or a null, which others may not have."""
    try:
        values = text_field.values(fields)
    except NoSuchField as error:
        return None if error.is_null else str(error)
    problems = [_problem_of(value, text_field) for value in values]
    if not values or any(value is None or isinstance(value, str | bytes) for value in values):
        return None
    return problems[0]


def text_record(fields: Mapping[str, Any], value: Any, text_field: FieldName) -> Record:
    """A record with `value`, of the field `text_field`, as its text or with an error."""
    if isinstance(value, str):
        return Record(fields, text=value)
    return Record(fields, error=f"{NO_TEXT}{_problem_of(value, text_field)}")


def _problem_of(value: Any, text_field: FieldName) -> str:
    """Why `value` is no text."""
    if isinstance(value, Missing):
        return value.problem
    if isinstance(value, bytes):
        return f"field {text_field.name!r} is bytes that are not UTF-8"
    return f"field {text_field.name!r} is {kind_of(value)}, not a string"


def _without_text(fields: Mapping[str, Any], text_field: FieldName, problem: str) -> Record | ItemsRecord:
    if text_field.is_list:
        return ItemsRecord(fields, problem=f"{NO_TEXT}{problem}")
    return Record(fields, error=f"{NO_TEXT}{problem}")


def _line(fields: Mapping[str, Any], verdict: object, error: object, on_null: Callable[[], None]) -> bytes:
    return f"{json_text({**fields, VERDICT: verdict, ERROR: error}, on_null)}\n".encode()


def without_outcome(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the record had in the input."""
    return {name: value for name, value in fields.items() if name not in OUTCOME}


def filled_outcome(
    categories: Iterable[str], *, spans: bool = False, is_list: bool = False
) -> dict[str, Any]:
    """An outcome with a value in every field, which gives a format the fields and their types.

    categories: of the server; empty if no record has a verdict, and the verdict then has no fields.
    spans: whether they were requested. is_list: whether a record has a verdict for each item of a list.
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
    filled_verdict = _document(verdict) if scores else None
    if is_list:
        return {VERDICT: [filled_verdict], ERROR: [""]}
    return {VERDICT: filled_verdict, ERROR: ""}


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
