"""The texts in messages, tool definitions and tool calls of an LLM's request or response."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tribunal.gateway.errors import invalid
from tribunal.gateway.settings import MAX_TEXTS

# Fields whose values are words of the protocol, unless they hold more than an identifier.
STRUCTURE = frozenset(
    ("$ref", "call_id", "format", "id", "index", "name", "required", "role", "tool_call_id", "type")
)
IDENTIFIER = re.compile(r"[\w.$#/:-]{1,128}", re.ASCII)
# Names of fields of LLM APIs and of JSON Schema; other names are content.
FIELDS = STRUCTURE | frozenset(
    (
        *("$defs", "additionalProperties", "allOf", "anyOf", "default", "enum", "examples", "items"),
        *("maximum", "minimum", "oneOf", "parameters", "pattern", "properties", "title"),
        *("arguments", "content", "custom", "description", "function", "input", "output", "refusal"),
        *("strict", "text", "tool_calls"),
    )
)
# A string of JSON; the last one of a document that is cut off has no end.
STRING = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|$)', re.DOTALL)
IMAGE_PARTS = ("image_url", "image", "input_image")
TEXT_PARTS = ("text", "input_text", "output_text", "refusal")


@dataclass
class Contents:
    """Texts by their place in the request, each text once.

    has_images: images were found. has_unread: parts were found that are neither text nor images.
    """

    has_images: bool = False
    has_unread: bool = False
    texts: dict[str, str] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def add(self, place: str, text: str) -> None:
        """Add a text that is not there yet; raises GatewayError 400 for too many."""
        if text in self._known:
            return
        self._known.add(text)
        self.texts[place] = text
        if len(self.texts) > MAX_TEXTS:
            message = f"a request may have {MAX_TEXTS} texts, including the strings of messages and tools"
            raise invalid(message, "texts")

    def add_strings(self, place: str, value: Any) -> None:
        """Add all strings of a tool or a tool call, without the JSON around them, which changes scores."""
        for index, text in enumerate(strings_of(value)):
            self.add(f"{place}[{index}]", text)

    def add_message(self, place: str, message: Any) -> None:
        """Add the texts of a message: its content, a string or parts, and whatever else it holds."""
        if not isinstance(message, dict):
            self.add_strings(place, message)
            return
        content = message.get("content")
        if isinstance(content, str):
            self.add(f"{place}.content", content)
        elif isinstance(content, list):
            for index, part in enumerate(content):
                self._add_part(f"{place}.content[{index}]", part)
        else:
            self.add_strings(f"{place}.content", content)
        others = {name: value for name, value in message.items() if name != "content"}
        self.add_strings(place, others)

    def _add_part(self, place: str, part: Any) -> None:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in IMAGE_PARTS:
            self.has_images = True
        elif isinstance(part, str) or kind in TEXT_PARTS:
            self.add_strings(place, part)
        else:
            self.has_unread = True


def strings_of(value: Any) -> Iterator[str]:
    """The strings in `value`, in order: also names that are no fields of an API, and JSON in `arguments`."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)
    elif isinstance(value, dict):
        for name, of_name in value.items():
            if name not in FIELDS:
                yield name
            if name == "arguments" and isinstance(of_name, str):
                yield from _strings_of_json(of_name)
            elif name not in STRUCTURE or not _is_structure(of_name):
                yield from strings_of(of_name)


def _is_structure(value: Any) -> bool:
    """Whether the value of a structural field holds identifiers only."""
    if isinstance(value, list):
        return all(_is_structure(item) for item in value)
    return not isinstance(value, str | dict) or (isinstance(value, str) and bool(IDENTIFIER.fullmatch(value)))


def _strings_of_json(document: str) -> Iterator[str]:
    """The strings in a JSON document by an LLM, with both values of a name that is there twice.

    A document that is not JSON is read as a whole too, and each of its strings by itself.
    """
    try:
        pairs = json.loads(document, object_pairs_hook=_Pairs, parse_int=_no_text, parse_float=_no_text)
    except (ValueError, RecursionError):
        yield document
        for match in STRING.finditer(document):
            yield _unescaped(match[1])
        return
    values: list[Any] = [pairs]
    while values:
        found = values.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, list):
            values.extend(reversed(found))


class _Pairs(list[Any]):
    """An object as a list of its names and values."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(part for pair in pairs for part in pair)


def _unescaped(string: str) -> str:
    try:
        return str(json.loads(f'"{string}"', strict=False))
    except ValueError:
        return string


def _no_text(_number: str) -> None:
    """Numbers are not read; those with more digits than Python converts are no error."""
