"""Runs the command line, and reports an error as one line on standard error and an exit status."""

import os
import sys
import traceback
from dataclasses import dataclass
from typing import cast

import typer

from tribunal.commands.standard_streams import prepare_standard_streams
from tribunal.errors import TribunalError

DONE = 0
FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130
# typer's error for wrong usage, of which it exports only this subclass.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]
# Its base, such as a file that cannot be opened.
TyperError: type[Exception] = UsageError.__bases__[0]


@dataclass
class Settings:
    """The options of `tribunal` itself, which its commands share.

    debug: show the traceback of a failure.
    """

    debug: bool = False


def run(app: typer.Typer) -> int:
    """Run `app` on the arguments of this process, and return the exit status.

    Ctrl-C, or a reader that closes the output's pipe (`| head`), ends it without a traceback.
    """
    prepare_standard_streams()
    settings = Settings()
    try:
        status = app(standalone_mode=False, obj=settings)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return FAILED
    except UsageError as error:
        _report(_usage(cast(typer.BadParameter, error)), settings)
        return WRONG_USAGE
    except TyperError as error:
        _report(cast(typer.BadParameter, error).format_message(), settings)
        return FAILED
    except (TribunalError, OSError) as error:
        _report(str(error), settings)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return FAILED
    except Exception as error:  # noqa: BLE001 - a user gets one line; --debug shows the rest
        _report(f"unexpected {type(error).__name__}: {error}; --debug shows where", settings)
        return FAILED
    return status if isinstance(status, int) else DONE


def _usage(error: typer.BadParameter) -> str:
    hint = f"; see {error.ctx.command_path} --help" if error.ctx else ""
    return f"{error.format_message().rstrip('.')}{hint}"


def _report(message: str, settings: Settings) -> None:
    if settings.debug:
        traceback.print_exc()
    typer.echo(f"tribunal: {' '.join(message.split())}", err=True)


def _drop_output() -> None:
    """Redirect standard output that cannot be written, so that the interpreter's exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
