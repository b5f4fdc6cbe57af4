"""The command `tribunal`: data on standard output, everything else on standard error.

EXIT_STATUS explains the exit statuses.
"""

from importlib.metadata import version
from typing import Annotated

import typer

from tribunal.commands.evaluate import evaluate
from tribunal.commands.exit_status import WRONG_USAGE, Settings
from tribunal.commands.gateway import gateway, key
from tribunal.commands.moderate import moderate
from tribunal.commands.scan import scan
from tribunal.commands.server import info, ready

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
app.command()(info)
app.command()(ready)
