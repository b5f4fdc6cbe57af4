"""The troubleshooting page has every message that a user may read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.repository.contract import CHECKOUT

PAGE = " ".join((CHECKOUT / "docs" / "troubleshooting.md").read_text("utf-8").replace("`", "").split())
ERRORS = {
    "StartError",
    "InvalidInput",
    "AccessDenied",
    "ServerUnavailable",
    "Overloaded",
    "DeadlineExceeded",
    "ServerError",
    "InvalidText",
    "TooManyWindows",
    "InvalidMode",
}
# Shorter parts of a message do not identify it.
LEAST_CHARACTERS = 10
# For a protocol's own errors, the page has the code; their messages name the field.
BY_CODE = CHECKOUT / "client" / "tribunal" / "gateway"


def python_files() -> Iterator[Path]:
    for folder in ("launcher", "client/tribunal", "model_repository"):
        yield from sorted((CHECKOUT / folder).rglob("*.py"))


def pieces(message: ast.expr) -> list[str]:
    """The constant parts of a message."""
    match message:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return [piece for value in values for piece in pieces(value)]
        case ast.BinOp(left=left, right=right):
            return pieces(left) + pieces(right)
        case _:
            return []


def calls(names: set[str]) -> Iterator[tuple[Path, ast.Call]]:
    for file in python_files():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield file, node


def messages() -> list[str]:
    """The first constant part of each message."""
    found = set()
    for file, call in calls(ERRORS):
        if file.is_relative_to(BY_CODE):
            continue
        said = [" ".join(piece.replace("`", "").split()) for piece in pieces(call.args[0])]
        found.update([piece for piece in said if len(piece) >= LEAST_CHARACTERS][:1])
    return sorted(found)


def codes() -> list[str]:
    """The codes of the gateway's errors."""
    found = set()
    for _, call in calls({"GatewayError"}):
        match call.args[1:2]:
            case [ast.Constant(value=str(code))]:
                found.add(code)
    return sorted(found)


def test_there_are_messages() -> None:
    assert len(messages()) > 60
    assert {"invalid_request", "overloaded", "unauthorized"} <= set(codes())


@pytest.mark.parametrize("message", messages())
def test_every_message_has_its_cure(message: str) -> None:
    # The page may have only the beginning of a long message.
    assert message[:60].rstrip() in PAGE


@pytest.mark.parametrize("code", codes())
def test_every_code_of_the_gateway_has_its_cure(code: str) -> None:
    assert re.search(rf"\| \d{{3}} \| {code} \|", PAGE)
