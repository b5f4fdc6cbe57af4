"""What the commands print: its width, tables, symbols, and texts on one line."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH_PIPED = 200


def output_width() -> int:
    """Columns of standard output: the terminal's, or WIDTH_PIPED if it is not a terminal."""
    console = Console()
    return console.width if console.is_terminal else WIDTH_PIPED


def print_table(table: Table) -> None:
    """Print `table` on standard output, at full width."""
    Console(highlight=False, width=output_width()).print(table)


def symbol(preferred: str, plain: str) -> str:
    """`preferred` if the encoding of standard output has it, else `plain`."""
    try:
        preferred.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return plain
    return preferred


def one_line(text: str) -> str:
    """`text` on one line, without control characters, and safe from rich's markup."""
    return escape("".join(character if character.isprintable() else " " for character in text))
