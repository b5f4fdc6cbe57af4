"""The command `tribunal`: data on standard output, everything else on standard error.

EXIT_STATUS explains the exit statuses.
"""

import json
from importlib.metadata import version
from typing import Annotated

import typer
from rich.table import Table

from tribunal.client import Client
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection
from tribunal.connection_options import connecting
from tribunal.evaluation.command import evaluate
from tribunal.exit_status import WRONG_USAGE, Settings
from tribunal.gateway.command import gateway, key
from tribunal.moderation.command import moderate
from tribunal.options import AsJson, Timeout, Url, print_table
from tribunal.scan.command import scan
from tribunal.server_info import ServerInfo, server_document

EXIT_STATUS = """\b
Exit status:
  0    success
  1    the server or the input failed, or `ready` found the server not ready
  2    wrong usage
  3    `scan` is complete, but records failed
  130  interrupted by Ctrl-C
"""

# Plain help: examples keep their lines, and square brackets are not markup.
app = typer.Typer(
    epilog=EXIT_STATUS,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def tribunal(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", show_default="off", help="Show the traceback of a failure.")
    ] = False,
    show_version: Annotated[
        bool, typer.Option("--version", show_default="off", help="Show the version and exit.")
    ] = False,
) -> None:
    """Moderate texts with a Tribunal server, and run its gateway.

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


app.command()(moderate)
app.command()(evaluate)
app.command()(scan)
app.command()(gateway)
app.command()(key)


@app.command()
@connecting
def info(
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    timeout_s: Timeout = DEFAULT_TIMEOUT_S,
    *,
    connection: Connection,
) -> None:
    """Show the server's version, models and the source of their weights.

    \b
    Examples:
      tribunal info
      tribunal info --json --url http://localhost:8000
    """
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        server = client.info()
    if as_json:
        typer.echo(json.dumps(server_document(server)))
    else:
        print_table(info_table(url, server))


@app.command()
@connecting
def ready(url: Url = DEFAULT_URL, timeout_s: Timeout = DEFAULT_TIMEOUT_S, *, connection: Connection) -> None:
    """Exit with 0 if the server is ready, else with 1.

    \b
    Examples:
      tribunal ready
      until tribunal ready --timeout 2; do sleep 1; done
    """
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        is_ready = client.is_ready()
    typer.echo("ready" if is_ready else "not ready")
    raise typer.Exit(0 if is_ready else 1)


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
