"""JSON bodies: what is refused, and how the message names it."""

import json
from typing import Any

import pytest
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.protocols.json_body import read_json, require_json_type

VALUES: list[Any] = [None, True, 1, 1e300, "ä\u2028", [], {"a": [{"b": "c"}], "d": ""}]


@pytest.mark.parametrize("value", VALUES)
def test_json_is_read(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"input": "harm", "input": "bread"}', "the key 'input' twice"),
        (b'{"a": [{"b": 1, "c": 2, "b": 3}]}', "the key 'b' twice"),
        (b'{"a": "\xff"}', "not UTF-8: byte 7"),
        ("{}".encode("utf-16"), "not UTF-8: byte 0"),
        (b'{"a": ', "not JSON: Expecting value at character 6"),
        (b"", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[" * 200_000, "nested too deeply"),
        (b"9" * 5000, "too many digits"),
    ],
)
def test_what_is_not_read_is_named(body: bytes, words: str) -> None:
    with pytest.raises(GatewayError, match=words) as raised:
        read_json(body)
    assert (raised.value.status, raised.value.code) == (400, "invalid_request")


def test_many_equal_keys_take_no_time() -> None:
    keys = ", ".join(f'"k{number}": 1' for number in range(200_000))
    with pytest.raises(GatewayError, match="k0"):
        read_json(f'{{{keys}, "k0": 2}}'.encode())


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/A+JSON"]
)
def test_types_of_json(kind: str) -> None:
    require_json_type(kind)


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "json", ";"])
def test_another_type_is_named_with_the_one_that_is_needed(kind: str | None) -> None:
    with pytest.raises(GatewayError, match="application/json") as raised:
        require_json_type(kind)
    assert raised.value.status == 415
    assert (kind or "missing") in raised.value.message
