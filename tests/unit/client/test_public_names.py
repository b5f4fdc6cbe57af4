"""The client's public API: documented names, and signatures of plain Python types."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import pytest
import tribunal
import typer
from tribunal.commands.cli import app

from launcher.repository.contract import CHECKOUT

README = (CHECKOUT / "client" / "README.md").read_text("utf-8")
PUBLIC = {name: getattr(tribunal, name) for name in tribunal.__all__}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
# numpy and tritonclient are internal; no signature may expose them.
HIDDEN = ("numpy", "tritonclient", "grpc", "httpx", "tenacity")
UNITS = {"_s": "seconds", "_ms": "ms", "_bytes": "maximum"}


def own_methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, member in vars(kind).items():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if inspect.isfunction(function) and (not name.startswith("_") or name == "__init__"):
            yield name, function


METHODS = [
    pytest.param(kind, function, id=f"{public}.{name}")
    for public, kind in CLASSES.items()
    if not (dataclasses.is_dataclass(kind) or issubclass(kind, Exception))
    for name, function in own_methods(kind)
    if name != "__init__"
]


@pytest.mark.parametrize("name", tribunal.__all__)
def test_every_name_has_a_docstring_of_its_own(name: str) -> None:
    kind = PUBLIC[name]
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{name}(")
    for method, function in own_methods(kind) if inspect.isclass(kind) else ():
        assert function.__doc__ or method == "__init__", f"{name}.{method}"


@pytest.mark.parametrize("name", CLASSES)
def test_every_field_and_option_is_explained_where_its_name_leaves_doubt(name: str) -> None:
    kind = PUBLIC[name]
    parameters = inspect.signature(kind).parameters if not issubclass(kind, Exception) else {}
    documentation = " ".join((kind.__doc__ or "").split())
    if "are those of `Client`" in documentation:
        documentation += " ".join((tribunal.Client.__doc__ or "").split())
    for parameter in parameters:
        for suffix, word in UNITS.items():
            if parameter.endswith(suffix):
                assert re.search(rf"{parameter}: [^:]*{word}", documentation), parameter
        if parameter == "score":
            assert "[0, 1]" in documentation


def test_the_clients_name_every_error() -> None:
    errors = [name for name in CLASSES if issubclass(PUBLIC[name], tribunal.TribunalError)]
    documentation = tribunal.Client.__doc__ or ""
    assert all(name in documentation for name in errors)


def types_in(hint: Any) -> Iterator[Any]:
    yield hint
    for argument in get_args(hint):
        yield from types_in(argument)


@pytest.mark.parametrize("name", CLASSES)
def test_public_signatures_hold_plain_types_alone(name: str) -> None:
    kind = PUBLIC[name]
    functions = [function for _, function in own_methods(kind)]
    hints = [hint for function in functions for hint in get_type_hints(function).values()]
    if dataclasses.is_dataclass(kind):
        hints.extend(get_type_hints(kind).values())
    for hint in hints:
        for part in types_in(hint):
            assert getattr(part, "__module__", "").partition(".")[0] not in HIDDEN, part


@pytest.mark.parametrize("name", tribunal.__all__)
def test_the_reference_names_everything_public(name: str) -> None:
    kind = PUBLIC[name]
    assert f"`{name}" in README
    if dataclasses.is_dataclass(kind):
        for field in dataclasses.fields(kind):
            assert f"`{field.name}`" in README, field.name
            if isinstance(field.default, int | float) and not isinstance(field.default, bool):
                assert f"| `{field.name}` | `{field.default}` |" in README


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_the_reference_has_every_method_with_its_options_and_defaults(
    kind: type, method: Callable[..., Any]
) -> None:
    assert f"`{method.__name__}(" in README
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.default is not inspect.Parameter.empty:
            assert f"{parameter.name}={parameter.default}" in README


def section(command: str) -> str:
    """The section of the reference about `command`."""
    part = re.search(rf"^### `tribunal {command}\b.*?(?=^##)", README, re.MULTILINE | re.DOTALL)
    assert part, command
    return part[0]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_reference_has_every_option_of_a_command_with_its_default(command: str) -> None:
    shared = README.partition("### Options of every command")[2].partition("###")[0]
    for option in COMMANDS[command].params:
        if option.param_type_name != "option" or "--help" in option.opts:
            continue
        rows = [line for line in (section(command) + shared).splitlines() if f"`{option.opts[0]}`" in line]
        assert rows, option.opts[0]
        default = option.default
        if isinstance(default, int | float | str) and not isinstance(default, bool):
            assert any(f"`{default}`" in row for row in rows), option.opts[0]


def test_the_reference_has_the_options_of_the_command_line_itself() -> None:
    for option in typer.main.get_command(app).params:
        assert f"`{option.opts[0]}`" in README
