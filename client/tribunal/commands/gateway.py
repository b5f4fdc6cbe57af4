"""The commands `tribunal gateway` and `tribunal key`."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from tribunal.commands.connection_options import connecting
from tribunal.commands.options import Url, naming_extra
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection
from tribunal.errors import InvalidInput
from tribunal.gateway.settings import (
    DEFAULT_KEEP_ALIVE_S,
    DEFAULT_MAX_BODY_BYTES,
    DEFAULT_MAX_WAIT_S,
    GatewaySettings,
)

MIB = 2**20
Port = typer.Option(min=1, max=65535)


@connecting
def gateway(
    url: Url = DEFAULT_URL,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Port] = 8080,
    grpc_port: Annotated[
        int | None, typer.Option(min=1, max=65535, show_default="closed", help="Port for gRPC.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, show_default="closed", help="Port for Prometheus.")
    ] = None,
    policies_file: Annotated[
        Path | None,
        typer.Option(
            "--policies", metavar="TOML", show_default="the server's decision", help="Named policies."
        ),
    ] = None,
    keys_file: Annotated[
        Path | None,
        typer.Option("--keys", metavar="TOML", show_default="no key is needed", help="Callers' hashed keys."),
    ] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Deadline of each request, in seconds.")
    ] = (DEFAULT_TIMEOUT_S),
    max_wait_s: Annotated[
        float,
        typer.Option("--max-wait", min=0, help="Answer 429 to requests that would wait longer, in seconds."),
    ] = DEFAULT_MAX_WAIT_S,
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default="as many as its instances take",
            help="Limit for the texts in flight at Triton; a text counts 1 for each KiB.",
        ),
    ] = None,
    max_body_mib: Annotated[
        int, typer.Option(min=1, help="Maximum size of a request's body.")
    ] = DEFAULT_MAX_BODY_BYTES // MIB,
    keep_alive_s: Annotated[
        int,
        typer.Option(
            "--keep-alive", min=0, help="Seconds that an idle connection stays open; more than a proxy's."
        ),
    ] = DEFAULT_KEEP_ALIVE_S,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            show_default="none",
            help="Allow web pages of this origin (CORS); may be repeated.",
        ),
    ] = None,
    *,
    connection: Connection,
) -> None:
    """Serve existing clients: OpenAI, LiteLLM, FMS detectors, Perspective, KServe, and a page to try it.

    --url is Triton's address. SIGHUP reloads policies and keys. On SIGTERM it drains requests, then exits.

    \b
    Examples:
      tribunal gateway --url localhost:8001 --port 8080
      tribunal gateway --policies policies.toml --keys keys.toml --grpc-port 8081 --metrics-port 8082
    """
    with naming_extra("gateway"):
        import uvloop

        from tribunal.gateway.server import Listening, address, serve
    settings = GatewaySettings(
        url=url,
        connection=connection,
        timeout_s=timeout_s,
        policies_file=policies_file,
        keys_file=keys_file,
        max_body_bytes=max_body_mib * MIB,
        max_in_flight_texts=max_in_flight,
        max_wait_s=max_wait_s,
        cors_origins=tuple(cors_origin or ()),
    )
    listening = Listening(
        host=host, port=port, grpc_port=grpc_port, metrics_port=metrics_port, keep_alive_s=keep_alive_s
    )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    site = f"http://{address(host, port)}"
    typer.echo(f"gateway to {url}: page {site}/, API {site}/docs", err=True)
    if keys_file is None and host not in ("127.0.0.1", "localhost", "::1"):
        typer.echo("everybody who reaches this address can send requests: give --keys", err=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, listening))


def key(
    name: Annotated[str, typer.Argument(help="The caller's name.")],
    policy: Annotated[str, typer.Option(help="Policy of requests that name none.")] = "default",
    rate_limit: Annotated[
        str | None, typer.Option(metavar="LIMIT", show_default="none", help="Such as 100/second.")
    ] = None,
) -> None:
    """Make a key for a caller.

    Prints the key on standard error, and the lines for the file of --keys on standard output.

    \b
    Examples:
      tribunal key alice >> keys.toml
      tribunal key bob --policy strict --rate-limit 100/second >> keys.toml
    """
    with naming_extra("gateway"):
        from tribunal.gateway.admission.keys import Key, hash_key, new_key
    secret = new_key()
    if not (name.isascii() and name.replace("-", "_").isidentifier()):
        raise InvalidInput("a name may contain only letters, digits, - and _")
    try:
        record = Key(sha256=hash_key(secret), policy=policy, rate_limit=rate_limit)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--rate-limit") from error
    lines = [
        f"[keys.{name}]",
        *(f'{field} = "{value}"' for field, value in record.model_dump().items() if value),
    ]
    typer.echo("\n".join(lines) + "\n")
    typer.echo(f"key of {name}, shown once: {secret}", err=True)
