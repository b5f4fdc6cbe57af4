"""Options and output that several commands of `tribunal` share."""

from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

WIDTH_PIPED = 200

Url = Annotated[
    str,
    typer.Option(
        envvar="TRIBUNAL_URL",
        help="host:port for gRPC, http://host:port for HTTP; with TLS grpcs:// or https://.",
    ),
]
Timeout = Annotated[float, typer.Option("--timeout", help="Deadline of each call, in seconds.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document a line.")]


class JudgeMode(str, Enum):
    """When the LLM is asked."""

    always = "always"
    auto = "auto"
    never = "never"


def print_table(table: Table) -> None:
    """Print `table` on standard output, as wide as the terminal, or WIDTH_PIPED where there is none."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_PIPED)
    console.print(table)


def one_line(text: str) -> str:
    """`text` on one line, without control characters, and safe from rich's markup."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return visible.replace("[", "\\[")
