"""The command `tribunal`: data on standard output, everything else on standard error.

Exit status: 0 done; 1 the server or the input failed, or `ready` found it not ready; 2 wrong usage.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tribunal.client import Client
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL
from tribunal.errors import TribunalError
from tribunal.server_info import ServerInfo
from tribunal.verdict import Toxicity, Verdict

app = typer.Typer(
    help="Ask a Tribunal server what it thinks of a text.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Url = Annotated[
    str, typer.Option(envvar="TRIBUNAL_URL", help="host:port for gRPC, http://host:port for HTTP.")
]
Timeout = Annotated[float, typer.Option("--timeout", help="Deadline of each call, in seconds.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document a line.")]

WIDTH_PIPED = 200
MAX_TEXT_WIDTH = 46


class JudgeMode(str, Enum):
    """When the LLM is asked."""

    always = "always"
    auto = "auto"
    never = "never"


@app.command()
def moderate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Default: a text a line from standard input."),
    ] = None,
    judge: Annotated[
        JudgeMode | None, typer.Option(help="Ask the LLM: else as the server is configured.")
    ] = None,
    explain: Annotated[bool, typer.Option(help="With the LLM's reason.")] = True,
    stream: Annotated[bool, typer.Option(help="Only the LLM's answer, as it is generated.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    timeout_s: Timeout = DEFAULT_TIMEOUT_S,
) -> None:
    """Give the verdict of each TEXT.

    Example: tribunal moderate "How to make a bomb?" --json
    """
    if not texts:
        texts = sys.stdin.read().splitlines()
    with _open(url, timeout_s) as client:
        if stream:
            for text in texts:
                for piece in client.stream_judgement(text):
                    typer.echo(piece, nl=False)
                typer.echo()
            return
        verdicts = client.moderate_batch(texts, judge=judge.value if judge else None, explain=explain)
    if as_json:
        for verdict in verdicts:
            typer.echo(json.dumps(dataclasses.asdict(verdict)))
    else:
        _print(verdict_table(texts, verdicts))


@app.command()
def info(as_json: AsJson = False, url: Url = DEFAULT_URL, timeout_s: Timeout = DEFAULT_TIMEOUT_S) -> None:
    """Say what the server runs, and from which weights."""
    with _open(url, timeout_s) as client:
        server = client.info()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(server)))
    else:
        _print(info_table(url, server))


@app.command()
def ready(url: Url = DEFAULT_URL, timeout_s: Timeout = DEFAULT_TIMEOUT_S) -> None:
    """Exit with 0 where the server gives verdicts now, else with 1."""
    with _open(url, timeout_s) as client:
        is_ready = client.is_ready()
    typer.echo("ready" if is_ready else "not ready")
    raise typer.Exit(0 if is_ready else 1)


def verdict_table(texts: list[str], verdicts: list[Verdict]) -> Table:
    """One row a text: the decision, the categories with their scores, the refusal, and the judge."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("text", max_width=MAX_TEXT_WIDTH, no_wrap=True, overflow="ellipsis")
    table.add_column("flagged")
    table.add_column("categories")
    table.add_column("refusal", justify="right")
    table.add_column("judge")
    for text, verdict in zip(texts, verdicts, strict=True):
        categories = ", ".join(
            f"{name} {verdict.categories.scores[name]:.2f}" for name in verdict.categories.flagged
        )
        refusal = f"{verdict.refusal.score:.2f}"
        table.add_row(
            _plain(text),
            ("[red]yes[/red]" if verdict.flagged else "[green]no[/green]")
            + (" [yellow](end not read)[/yellow]" if verdict.truncated else ""),
            categories,
            f"[yellow]{refusal}[/yellow]" if verdict.refusal.detected else refusal,
            judge_cell(verdict.toxicity),
        )
    return table


def judge_cell(toxicity: Toxicity) -> str:
    """The judge's label, P(toxic) and reason, or why there is none."""
    if toxicity.score is None:
        return "" if toxicity.status == "skipped" else f"[yellow]{toxicity.status}[/yellow]"
    reason = f": {_plain(toxicity.reason)}" if toxicity.reason else ""
    return f"{toxicity.label} {toxicity.score:.2f}{reason}"


def info_table(url: str, server: ServerInfo) -> Table:
    """The server's version, models and weights, a row each."""
    table = Table(show_edge=False, show_header=False, pad_edge=False)
    table.add_row("server", f"{url}, Triton {server.triton_version}")
    for name, weights in server.weights.items():
        revision = f" at {weights.revision}" if weights.revision else ""
        warning = " [yellow](for demonstration only)[/yellow]" if weights.are_demo else ""
        table.add_row(f"weights of {name}", f"{weights.source}{revision}, {weights.precision}{warning}")
    for name, is_ready in server.models.items():
        table.add_row(f"model {name}", "[green]ready[/green]" if is_ready else "[red]not ready[/red]")
    return table


def _plain(text: str) -> str:
    """`text` on one line, without control characters, and safe from rich's markup."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return visible.replace("[", "\\[")


def _print(table: Table) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_PIPED)
    console.print(table)


@contextmanager
def _open(url: str, timeout_s: float) -> Iterator[Client]:
    try:
        with Client(url, timeout_s=timeout_s) as client:
            yield client
    except TribunalError as error:
        typer.echo(f"tribunal: {error}", err=True)
        raise typer.Exit(1) from error
