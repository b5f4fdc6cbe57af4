"""`python -m launcher`: serve a model repository on this host until SIGTERM."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from launcher import CrashError, StartError
from launcher.arguments import parse_arguments, server_options
from launcher.exposure.addresses import Exposure
from launcher.host.devices import has_gpu
from launcher.process.self_check import SelfCheckError, summary
from launcher.process.server import TritonServer
from launcher.recovery.events import Event, EventFile
from launcher.recovery.restarts import Restarts
from launcher.recovery.supervisor import supervise
from launcher.repository.contract import ENCODERS
from launcher.repository.manifest import MANIFEST

REFUSAL_POLL_INTERVAL_S = 0.5
console = Console(stderr=True, highlight=False)


def main() -> int:
    """Serve until SIGINT, SIGTERM or the end of the command; returns the exit status."""
    arguments = parse_arguments()
    # A shell starts background jobs with SIGINT ignored, and Python keeps that.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, _interrupt)
    try:
        server = TritonServer(server_options(arguments))
        return keep_serving(server, arguments.command, EventFile(arguments.events))
    except SelfCheckError as error:
        console.print(f"[red]Refused to serve:[/red] {error}", soft_wrap=True)
        return 1
    except StartError as error:
        console.print(f"[red]Cannot start:[/red] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopping ...")
        return 0


def keep_serving(server: TritonServer, command: list[str], events: EventFile) -> int:
    """Serve, and restart tritonserver when it dies; returns the exit status.

    Triton 24.10 has crashed in its gRPC streams and during its start. Raises StartError if the first start
    fails; SelfCheckError if an encoder computes other scores than the export's references, then and after any
    later load.
    """
    restarts = Restarts()

    def report(event: Event) -> None:
        events.write(event)
        console.print(event.line)

    while True:
        try:
            with started(server), supervise(server, on_event=report):
                restarts.served()
                events.write(Event("ready", "every model serves"))
                if command:
                    return run(server, command)
                death = f"tritonserver ended by itself with status {server.wait()}"
        except SelfCheckError as error:
            events.write(Event("refused", str(error), error.model))
            raise
        except StartError as error:
            if not restarts.has_served and not isinstance(error, CrashError):
                raise
            death = str(error)
        pause_s = restarts.pause_s()
        if pause_s is None:
            raise StartError(f"{death}; it was never ready: see {server.log_name}")
        again = f"restarting in {pause_s:g} s (its log: {server.log_name})"
        events.write(Event("restarting", f"{death}; {again}"))
        console.print(f"[red]{death}[/red]; {again}", soft_wrap=True)
        time.sleep(pause_s)


@contextlib.contextmanager
def started(server: TritonServer) -> Iterator[None]:
    """Start the server, print its banner, and stop it at the end of the block."""
    started_s = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("Loading the models:"), TimeElapsedColumn())
    loading = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with contextlib.ExitStack() as stack:
        with loading:
            loading.add_task("loading", total=None)
            stack.enter_context(server)
        print_banner(server, time.monotonic() - started_s)
        yield


def run(server: TritonServer, command: list[str]) -> int:
    """Run `command` against the server; returns its exit status.

    Kills it and raises SelfCheckError if the server refuses to serve meanwhile.
    """
    environment = command_environment(os.environ, server.grpc_url)
    with subprocess.Popen(command, env=environment) as process:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(REFUSAL_POLL_INTERVAL_S)
                if server.refusal:
                    raise server.refusal
        except BaseException:
            process.kill()
            raise


def command_environment(inherited: Mapping[str, str], grpc_url: str) -> dict[str, str]:
    """The environment of a command that calls the server at `grpc_url`, on this machine without a proxy."""
    exempt = [inherited.get("no_proxy") or inherited.get("NO_PROXY") or "", grpc_url.rpartition(":")[0]]
    no_proxy = ",".join(entry for entry in exempt if entry)
    return {**inherited, "TRIBUNAL_URL": grpc_url, "no_proxy": no_proxy, "NO_PROXY": no_proxy}


def print_banner(server: TritonServer, start_s: float) -> None:
    """Print the addresses, the models and the source of their weights."""
    manifest = json.loads((server.repository / MANIFEST).read_text("utf-8"))
    console.print(f"[green]Ready[/green] after {start_s:.1f} s: {server.repository}", soft_wrap=True)
    for name, weights in manifest["models"].items():
        if name in server.models:
            warning = ", for demonstration only" if weights["source"] == "demo" else ""
            console.print(f"  {name}: {weights['source']} ({weights['precision']}){warning}", soft_wrap=True)
    if has_gpu() and any(weights.get("graph") == "loop" for weights in manifest["models"].values()):
        console.print("  the encoders were exported for a CPU; for this GPU export with --precision fp16")
    if not server.has_judge:
        console.print("  no judge: the default mode is never, and the other modes are refused")
    print_self_check(server, manifest["models"])
    console.print(
        f"  gRPC {server.grpc_url}{protection(server.options.exposure)}, HTTP {server.http_url}, "
        f"metrics {server.metrics_url}",
        soft_wrap=True,
    )
    console.print(f"  log {server.log_name}", soft_wrap=True)


def print_self_check(server: TritonServer, models: Mapping[str, Any]) -> None:
    """Print what the self-check found, and which encoders the manifest has no references for."""
    if server.self_check.outcomes:
        console.print(f"  self-check: {summary(server.self_check.outcomes)}", soft_wrap=True)
    without = [name for name in ENCODERS if name in models and name not in server.self_check.references]
    if without:
        console.print(
            f"  self-check: nothing to check {', '.join(without)} against, because the manifest has no "
            f"references. Export again: {export_command(server.repository, without, models[without[0]])}",
            soft_wrap=True,
        )


def export_command(repository: Path, names: Sequence[str], exported: Mapping[str, Any]) -> str:
    """The command that exports the models `names` again, as the manifest's entry `exported` says."""
    kind, _, place = exported["source"].partition(":")
    # `dir:PATH` is the folder of one model.
    source = str(Path(place).parent) if kind == "dir" else kind
    return (
        f"python -m export_scripts --source {source} --models {' '.join(names)} "
        f"--precision {exported['precision']} --repository {repository}"
    )


def protection(exposure: Exposure) -> str:
    """How the gRPC endpoint is protected, in words for the banner."""
    if exposure.tls is None:
        return ""
    return " (mutual TLS)" if exposure.tls.client_ca else " (TLS)"


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
