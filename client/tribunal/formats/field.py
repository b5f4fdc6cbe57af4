"""The name of a field, also inside of objects and lists: `text`, `message.text`, `messages[].content`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribunal.formats.json_values import NumberLiteral

ITEMS = "[]"


class NoSuchField(Exception):
    """A record has no field of this name; the message says what it has instead.

    is_null: whether there is a null on the way to the field, so that other records may have it.
    """

    def __init__(self, message: str, *, is_null: bool = False) -> None:
        super().__init__(message)
        self.is_null = is_null


@dataclass(frozen=True)
class Missing:
    """Stands for an item of a list that has no such field. problem: says what it has instead."""

    problem: str


@dataclass(frozen=True)
class FieldName:
    """The name of a field.

    Dots separate the names of nested objects, and `[]` stands for each item of a list. A field of exactly
    this name comes first, unless the name has `[]`.

    name: as written. is_nested: whether dots and `[]` have this meaning; in a table they have none.
    """

    name: str
    is_nested: bool = True

    @property
    def is_list(self) -> bool:
        """Whether the field has one value for each item of a list."""
        return self.is_nested and ITEMS in self.name

    @property
    def steps(self) -> tuple[str, ...]:
        """The names on the way to a nested field, and `[]` where it goes through the items of a list."""
        if not self.is_nested:
            return (self.name,)
        parts = self.name.replace(ITEMS, f".{ITEMS}").split(".")
        return tuple(part for part in parts if part) or (self.name,)

    def steps_among(self, names: Sequence[str]) -> tuple[str, ...]:
        """The way to the field in a record with the fields `names`."""
        return (self.name,) if self.name in names and not self.is_list else self.steps

    def values(self, fields: Mapping[str, Any]) -> list[Any]:
        """The field's value, or if `is_list` the value or Missing of each item, in order.

        Raises NoSuchField, if `is_list` only for what comes before the items.
        """
        if not self.is_list and self.name in fields:
            return [fields[self.name]]
        return list(_walk(fields, self.steps, ""))


def kind_of(value: object) -> str:
    """The type of a value for a message."""
    if value is None:
        return "null"
    return float.__name__ if isinstance(value, NumberLiteral) else type(value).__name__


def _walk(value: Any, steps: Sequence[str], path: str) -> Iterator[Any]:
    """The values at the end of `steps` below `value`, whose own name is `path`."""
    if not steps:
        yield value
    elif steps[0] == ITEMS:
        if not isinstance(value, list | tuple):
            raise NoSuchField(f"field {path!r} is {kind_of(value)}, not a list", is_null=value is None)
        for item in value:
            try:
                yield from list(_walk(item, steps[1:], f"{path}{ITEMS}"))
            except NoSuchField as error:
                yield Missing(str(error))
    else:
        if not isinstance(value, Mapping):
            raise NoSuchField(f"field {path!r} is {kind_of(value)}, not an object", is_null=value is None)
        below = f"{path}.{steps[0]}" if path else steps[0]
        if steps[0] not in value:
            raise NoSuchField(f"has no field {below!r}, it has {', '.join(map(repr, value))}")
        yield from _walk(value[steps[0]], steps[1:], below)
