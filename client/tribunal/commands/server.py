"""The commands `tribunal info` and `tribunal ready`."""

import json

import typer
from rich.table import Table

from tribunal.client import Client
from tribunal.commands.connection_options import connecting
from tribunal.commands.options import AsJson, Timeout, Url
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection
from tribunal.console import print_table
from tribunal.server_info import ServerInfo, server_document


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
    for name, check in server.self_checks.items():
        found = f"largest difference {check.score_difference:.1e}, tolerance {check.tolerance:g}"
        table.add_row(f"self-check of {name}", f"{check.texts} texts, {found}")
    for name, is_ready in server.models.items():
        table.add_row(f"model {name}", "[green]ready[/green]" if is_ready else "[red]not ready[/red]")
    return table
