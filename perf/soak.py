"""`python -m perf soak`: minutes of mixed load while processes are killed under it.

The demonstration models, served by `python -m launcher`. Every answer is compared with the one
given before the first fault; a request that neither gets an answer nor a typed error is lost. Exit status
1 where one was lost or wrong, or where a fault was not recovered from.
"""

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import tritonclient.grpc as triton
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tribunal import Client, TribunalError

from launcher.exposure.ports import free_ports
from launcher.repository.contract import CHECKOUT
from perf.compare import FOLDER
from perf.faults import faults
from perf.hardware import describe_hardware
from perf.launched_server import LaunchedServer
from perf.memory import memory_mib
from perf.mixed_load import DEADLINE_S, Load, Tally

REPOSITORY = CHECKOUT / "build" / "demo_repository"
RECOVERY_TIMEOUT_S = 240.0
PROBE = "How to make a birthday cake without eggs?"
PROBE_TIMEOUT_S = 5.0
PROBE_INTERVAL_S = 0.2
console = Console()


def wait_until_whole(client: Client) -> float:
    """Seconds until the server gives whole verdicts again; raises RuntimeError where it does not."""
    started_s = time.monotonic()
    good = 0
    while good < 5:
        if time.monotonic() - started_s > RECOVERY_TIMEOUT_S:
            raise RuntimeError(f"no whole verdict within {RECOVERY_TIMEOUT_S:g} s")
        try:
            status = client.moderate(PROBE, judge="always", explain=False).toxicity.status
            good = good + 1 if status in ("answered", "unparsed") else 0
        except TribunalError:
            good = 0
        time.sleep(PROBE_INTERVAL_S)
    return time.monotonic() - started_s


@contextlib.contextmanager
def running(server: LaunchedServer) -> Iterator[None]:
    """A server that is ready, and is stopped in the end."""
    server.start()
    try:
        yield
    finally:
        server.stop()


def soak(duration_s: float) -> dict[str, object]:
    """Run the load and the faults; returns the report."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    server = LaunchedServer(REPOSITORY, free_ports(), FOLDER / "soak.log")
    tally = Tally()
    recoveries_s: dict[str, float | None] = {}
    sizes_mib = []
    url = f"localhost:{server.ports.grpc}"
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(server))
        client = stack.enter_context(Client(url, timeout_s=DEADLINE_S))
        probe = stack.enter_context(Client(url, timeout_s=PROBE_TIMEOUT_S))
        wait_until_whole(probe)
        raw = stack.enter_context(triton.InferenceServerClient(url))
        with Load(client, raw, tally), Progress(console=console) as progress:
            planned = list(faults(server).items())
            task = progress.add_task("soaking", total=len(planned))
            started_s = time.monotonic()
            for number, (name, strike) in enumerate(planned, 1):
                sizes_mib.append(memory_mib(server.pid))
                strike()
                progress.update(task, description=name)
                try:
                    recoveries_s[name] = wait_until_whole(probe)
                except RuntimeError:
                    recoveries_s[name] = None
                next_s = started_s + duration_s * number / len(planned)
                time.sleep(max(0.0, next_s - time.monotonic()))
                progress.advance(task)
            sizes_mib.append(memory_mib(server.pid))
    return {
        "hardware": describe_hardware(),
        "duration_s": duration_s,
        "sent": tally.sent,
        "answered": tally.answered,
        "refused as invalid": tally.refused,
        "gone before their answer": tally.cancelled,
        "failed with a typed error": dict(tally.failed),
        "lost": tally.lost,
        "wrong": tally.wrong,
        "answered without the judge": tally.without_judge,
        "tritonserver started again by the launcher": server.restarts,
        "recoveries_s": recoveries_s,
        "memory_mib": sizes_mib,
    }


def main(duration_s: float, output: Path) -> int:
    """Soak, print the report and keep it; returns the exit status."""
    report = soak(duration_s)
    table = Table("what", "how many or how long")
    for name, value in report.items():
        if name not in ("hardware", "recoveries_s"):
            table.add_row(name, str(len(value) if name == "wrong" and isinstance(value, list) else value))
    recoveries_s = report["recoveries_s"]
    assert isinstance(recoveries_s, dict)  # noqa: S101 - for the type checker
    for name, recovery_s in recoveries_s.items():
        table.add_row(f"whole again after {name}", "never" if recovery_s is None else f"{recovery_s:.1f} s")
    console.print(table)
    output.write_text(json.dumps(report, indent=1), "utf-8")
    console.print(f"report: {output}")
    return int(bool(report["lost"] or report["wrong"]) or None in recoveries_s.values())


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    parser.add_argument("--duration-s", type=float, default=600.0, metavar="S", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=FOLDER / "soak.json", metavar="FILE")
