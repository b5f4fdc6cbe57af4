"""The options of a connection on the command line, for every command that reaches a server."""

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tribunal.connection import DEFAULT_RETRIES, Compression, Connection

TOKEN = "TRIBUNAL_TOKEN"  # noqa: S105 - the name of a variable


def _connection(
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            envvar="TRIBUNAL_CA",
            metavar="PEM",
            show_default="the usual public ones",
            help="Trust only these certificate authorities.",
        ),
    ] = None,
    cert_file: Annotated[
        Path | None,
        typer.Option(
            "--cert",
            envvar="TRIBUNAL_CERT",
            metavar="PEM",
            show_default="none",
            help="Client certificate, for mutual TLS.",
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key",
            envvar="TRIBUNAL_KEY",
            metavar="PEM",
            show_default="none",
            help="Key of that certificate.",
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:VALUE",
            show_default="none",
            help="Send this header with every request; may be repeated. "
            f"The variable {TOKEN} is sent as a bearer token.",
        ),
    ] = None,
    compression: Annotated[
        Compression | None, typer.Option(show_default="none", help="Compress requests.")
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="Retries if the server is unavailable or overloaded.")
    ] = DEFAULT_RETRIES,
) -> Connection:
    headers = {}
    if token := os.environ.get(TOKEN):
        headers["authorization"] = f"Bearer {token}"
    for line in header or ():
        name, separator, value = line.partition(":")
        if not separator:
            # The line may contain a secret, so the message does not show it.
            raise typer.BadParameter("it must be NAME:VALUE", param_hint="--header")
        headers[name.strip().lower()] = value.strip()
    return Connection(
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        headers=headers,
        compression=compression,
        retries=retries,
    )


def connecting(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options of a connection in place of its parameter `connection`."""
    own = inspect.signature(command).parameters
    options = inspect.signature(_connection).parameters

    @functools.wraps(command)
    def connected(**given: Any) -> None:
        connection = _connection(**{name: given.pop(name) for name in options})
        command(**given, connection=connection)

    parameters = [parameter for name, parameter in own.items() if name != "connection"]
    keyword_only = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in [*parameters, *options.values()]
    ]
    connected.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    connected.__annotations__ = {parameter.name: parameter.annotation for parameter in keyword_only}
    return connected
