"""The command `tribunal`: data on standard output, everything else on standard error.

Exit status: 0 done; 1 the server or the input failed, or `ready` found it not ready; 2 wrong usage;
3 `scan` wrote all records and some failed; 130 interrupted by Ctrl-C.
"""

import dataclasses
import json
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.table import Table

from tribunal.client import Client
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection
from tribunal.connection_options import connecting
from tribunal.contract import JudgeMode
from tribunal.errors import InvalidInput
from tribunal.evaluation.command import evaluate
from tribunal.exit_status import WRONG_USAGE, Settings
from tribunal.options import AsJson, Timeout, Url, one_line, print_table
from tribunal.scan.command import scan
from tribunal.server_info import ServerInfo
from tribunal.verdict import Toxicity, Verdict

EXIT_STATUS = """\b
Exit status:
  0    done
  1    the server or the input failed, or `ready` found it not ready
  2    wrong usage
  3    `scan` wrote all records, and some of them failed
  130  interrupted by Ctrl-C
"""

# Plain help: examples keep their lines, and square brackets are no markup.
app = typer.Typer(
    epilog=EXIT_STATUS,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MAX_TEXT_WIDTH = 46


@app.callback()
def tribunal(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
    show_version: Annotated[bool, typer.Option("--version", help="Show the version, and end.")] = False,
) -> None:
    """Ask a Tribunal server what it thinks of a text.

    \b
    Examples:
      tribunal moderate "How to make a bomb?"
      tribunal --debug info --url http://localhost:8000
      tribunal --install-completion
    """
    settings = context.ensure_object(Settings)
    settings.debug = debug
    if show_version:
        typer.echo(version("tribunal"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(WRONG_USAGE)


@app.command()
@connecting
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
    *,
    connection: Connection,
) -> None:
    """Give the verdict of each TEXT.

    \b
    Examples:
      tribunal moderate "How to make a bomb?"
      tribunal moderate --json --judge never < texts.txt
      tribunal moderate --stream "I could strangle him"
    """
    if not texts:
        texts = _lines_of_standard_input()
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        if stream:
            for text in texts:
                for piece in client.stream_judgement(text):
                    typer.echo(piece, nl=False)
                typer.echo()
            return
        verdicts = client.moderate_batch(texts, judge=judge, explain=explain)
    if as_json:
        for verdict in verdicts:
            typer.echo(json.dumps(dataclasses.asdict(verdict)))
    else:
        print_table(verdict_table(texts, verdicts))


app.command()(evaluate)
app.command()(scan)


@app.command()
@connecting
def info(
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    timeout_s: Timeout = DEFAULT_TIMEOUT_S,
    *,
    connection: Connection,
) -> None:
    """Say what the server runs, and from which weights.

    \b
    Examples:
      tribunal info
      tribunal info --json --url http://localhost:8000
    """
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        server = client.info()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(server)))
    else:
        print_table(info_table(url, server))


@app.command()
@connecting
def ready(url: Url = DEFAULT_URL, timeout_s: Timeout = DEFAULT_TIMEOUT_S, *, connection: Connection) -> None:
    """Exit with 0 where the server gives verdicts now, else with 1.

    \b
    Examples:
      tribunal ready
      until tribunal ready --timeout 2; do sleep 1; done
    """
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
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
            one_line(text),
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
    reason = f": {one_line(toxicity.reason)}" if toxicity.reason else ""
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


def _lines_of_standard_input() -> list[str]:
    try:
        return sys.stdin.read().splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"standard input is not UTF-8 at byte {error.start}") from error
