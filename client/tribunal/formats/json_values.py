"""Values of records as JSON: parses them so that numbers keep their literals, and writes strict JSON."""

import json
import math
import re
import secrets
from collections.abc import Callable
from typing import Any

# Python's names of the numbers that JSON does not have.
NOT_FINITE = ("NaN", "Infinity", "-Infinity")
# Begins the string that stands for a literal while a value is written; no input can know it.
_MARK = secrets.token_hex(16)
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


class NumberLiteral:
    """A number whose literal a float would change, such as `1e400` or `1.10`, or `NaN`.

    text: the literal.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumberLiteral) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def _number(literal: str) -> float | NumberLiteral:
    value = float(literal)
    return value if repr(value) == literal else NumberLiteral(literal)


def parse_json(text: str, *, exact: bool = True) -> Any:
    """The value of a JSON text; raises ValueError or RecursionError.

    exact: whether numbers that a float would change become NumberLiteral, and not float.
    """
    if exact:
        return json.loads(text, parse_float=_number, parse_constant=NumberLiteral)
    return json.loads(text)


def json_text(value: object, on_null: Callable[[], None] = lambda: None) -> str:
    """`value` as JSON on one line; values that JSON cannot represent become text.

    on_null: called if a NaN or an infinite number becomes null.
    """

    def replaced(part: object) -> str | None:
        if not isinstance(part, NumberLiteral):
            return plain_text(part)
        if part.text in NOT_FINITE:
            on_null()
            return None
        return f"{_MARK}{part.text}"

    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=replaced)
    except ValueError:
        on_null()
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=replaced)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def plain_text(value: object) -> str:
    """Text of a value that JSON cannot represent: bytes, dates, decimals."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def plain_numbers(value: Any) -> Any:
    """`value` with a float for each NumberLiteral; raises RecursionError."""
    if isinstance(value, NumberLiteral):
        return float(value.text)
    return _each_part(value, plain_numbers)


def _finite(value: Any) -> Any:
    """`value` with None for each NaN and infinite number."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _each_part(value, _finite)


def _each_part(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: change(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [change(part) for part in value]
    return value
