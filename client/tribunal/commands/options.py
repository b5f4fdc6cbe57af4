"""Options that several commands of `tribunal` share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from tribunal.contract import JudgeMode
from tribunal.errors import InvalidInput

Url = Annotated[
    str,
    typer.Option(
        envvar="TRIBUNAL_URL",
        help="host:port or grpcs://host:port for gRPC, http:// or https://host:port for HTTP.",
    ),
]
Timeout = Annotated[float, typer.Option("--timeout", help="Deadline of each call, in seconds.")]
Judge = Annotated[
    JudgeMode | None, typer.Option(show_default="as the server is configured", help="When to ask the LLM.")
]
Explain = Annotated[bool, typer.Option(help="Ask for the LLM's reason.")]
Spans = Annotated[
    bool,
    typer.Option(
        "--spans",
        show_default="off",
        help="Also read each sentence by itself, and name those that cross a threshold.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(show_default="utf-8", help="Encoding of a text file, such as latin-1 or utf-16."),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        show_default="comma, or ; if the header has no comma; tab in TSV",
        help="Character between the cells of CSV or TSV.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", show_default="off", help="Print one JSON document per line.")]


@contextmanager
def naming_extra(extra: str) -> Iterator[None]:
    """Raise InvalidInput that says how to install `extra` if a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise InvalidInput(f"{extra} needs {package}: pip install 'tribunal[cli,{extra}]'") from error
