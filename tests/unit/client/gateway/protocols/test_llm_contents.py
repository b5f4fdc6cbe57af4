"""Texts in messages, tools and tool calls of an LLM."""

import json
from typing import Any

import pytest
from tribunal.gateway.protocols.llm_contents import Contents, strings_of

HARM = "I could strangle him"


def of_call(arguments: str) -> list[str]:
    function = {"name": "f", "arguments": arguments}
    return list(strings_of({"id": "1", "type": "function", "function": function}))


@pytest.mark.parametrize(
    "arguments",
    [
        json.dumps({"q": HARM}),
        json.dumps({HARM: 1}),
        f'{{"q": "{HARM}", "q": "hello"}}',
        f'{{"q": "hello", "q": "{HARM}"}}',
        f'{{"q": ["{HARM}"], "n": {"9" * 5000}}}',
        f'{{"number": {"1" * 5000}.5e999, "q": "{HARM}"}}',
        f'{{"bread": "The bread is fresh.", "q": "{HARM}"',
        f'{{"bread": "The bread is fresh.", "q": "{HARM}',
        f'{{"q": "{HARM}", "bad": "\\x"}}',
        json.dumps({"q": HARM}).replace("s", "\\u0073"),
        json.dumps([[[{"a": {"b": [HARM]}}]]]),
    ],
    ids=range(11),
)
def test_every_string_of_arguments_is_read_by_itself(arguments: str) -> None:
    assert HARM in of_call(arguments)


def test_arguments_that_are_no_json_are_read_as_a_whole_too() -> None:
    assert of_call("plain words") == ["plain words"]
    nested = "[" * 100_000
    assert of_call(nested) == [nested]


@pytest.mark.parametrize(
    "call",
    [
        {"type": "custom", "custom": {"name": "f", "input": HARM}},
        {"type": "function", "function": {"name": HARM, "arguments": "{}"}},
        {"type": "function", "function": {"name": "f", "arguments": {"q": HARM}}},
        {"type": "function_call", "arguments": json.dumps({"q": HARM})},
        {"type": "tool_use", "id": "1", "name": "f", "input": {"q": HARM}},
    ],
)
def test_calls_of_all_kinds_are_read(call: dict[str, Any]) -> None:
    assert HARM in list(strings_of(call))


def test_words_of_the_protocol_are_no_texts() -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "send_mail",
            "description": "Sends a mail.",
            "parameters": {
                "type": "object",
                "properties": {"address": {"type": "string", "description": "Whom to write to."}},
                "required": ["address"],
            },
        },
    }
    assert list(strings_of(tool)) == ["Sends a mail.", "address", "Whom to write to."]


@pytest.mark.parametrize(
    ("content", "texts", "images", "unread"),
    [
        (HARM, [HARM], False, False),
        ([{"type": "text", "text": HARM}], [HARM], False, False),
        ([HARM], [HARM], False, False),
        ([{"type": "image_url", "image_url": {"url": "https://example.org"}}], [], True, False),
        ([{"type": "input_audio", "input_audio": {"data": "AA=="}}], [], False, True),
        ([7], [], False, True),
        (None, [], False, False),
        ({"text": HARM}, [HARM], False, False),
    ],
)
def test_a_message(content: Any, texts: list[str], images: bool, unread: bool) -> None:
    contents = Contents()
    contents.add_message("messages[0]", {"role": "user", "content": content})
    assert list(contents.texts.values()) == texts
    assert (contents.has_images, contents.has_unread) == (images, unread)


def test_a_message_may_have_calls_and_a_refusal() -> None:
    contents = Contents()
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({HARM: 1})}}
    contents.add_message("m", {"role": "assistant", "content": None, "tool_calls": [call], "refusal": "No."})
    assert list(contents.texts.values()) == [HARM, "No."]
