"""`python -m perf soak`: minutes of mixed load with injected faults, alone or in pairs.

`python -m launcher` serves a copy of the demonstration models behind the gateway. Every answer is compared
with the answer before the first fault. A request is lost if it gets neither an answer nor a typed error.
The server has recovered once every model has all its processes and verdicts are complete. The exit status is
1 if a request was lost, an answer was wrong, or the server did not recover from a fault.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tritonclient.grpc as triton
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tribunal import Client, TribunalError

from perf.load.mixed_load import DEADLINE_S, MixedLoad
from perf.load.tally import Tally
from perf.paths import DEMO_REPOSITORY
from perf.robustness.soak.fault_injection import fault_injections
from perf.samples import write_samples
from perf.serving.deployment import Deployment, deployed
from perf.serving.servers import memory_mib

RECOVERY_TIMEOUT_S = 240.0
# The server has recovered after this many consecutive verdicts with the judge's answer.
COMPLETE_VERDICTS = 5
PROBE_TEXT = "How to make a birthday cake without eggs?"
PROBE_TIMEOUT_S = 5.0
PROBE_INTERVAL_S = 0.2
console = Console()


@dataclass(frozen=True)
class Observations:
    """Observations of the server.

    recoveries_s: seconds from each fault to the recovery; None if the server did not recover in time.
    memory_mib: memory of the server before each fault and at the end.
    restarts: number of restarts of tritonserver by the launcher.
    """

    recoveries_s: Mapping[str, float | None]
    memory_mib: list[float]
    restarts: int


def recovery_s(client: Client, deployment: Deployment, processes: Counter[str]) -> float | None:
    """Seconds until every model has its `processes` and verdicts are complete; None after RECOVERY_TIMEOUT_S.

    If one of an encoder's two processes is dead, the other still answers half of the requests, so verdicts
    alone do not prove a recovery.
    """
    started_s = time.monotonic()
    complete = 0
    while complete < COMPLETE_VERDICTS or deployment.server.model_processes() != processes:
        if time.monotonic() - started_s > RECOVERY_TIMEOUT_S:
            return None
        try:
            status = client.moderate(PROBE_TEXT, judge="always", explain=False).toxicity.status
            complete = complete + 1 if status in ("answered", "unparsed") else 0
        except TribunalError:
            complete = 0
        time.sleep(PROBE_INTERVAL_S)
    return time.monotonic() - started_s


def inject_faults(
    deployment: Deployment,
    injections: Mapping[str, Callable[[], None]],
    probe: Client,
    duration_s: float,
) -> Observations:
    """Inject one fault after another, at even intervals of `duration_s`, and time each recovery."""
    processes = deployment.server.model_processes()
    recoveries_s: dict[str, float | None] = {}
    readings_mib = []
    started_s = time.monotonic()
    with Progress(console=console) as progress:
        task = progress.add_task("soaking", total=len(injections))
        for number, (fault, inject) in enumerate(injections.items(), 1):
            readings_mib.append(served_mib(deployment))
            progress.update(task, description=fault)
            inject()
            recoveries_s[fault] = recovery_s(probe, deployment, processes)
            next_s = started_s + duration_s * number / len(injections)
            time.sleep(max(0.0, next_s - time.monotonic()))
            progress.advance(task)
    readings_mib.append(served_mib(deployment))
    return Observations(recoveries_s, readings_mib, deployment.server.restarts)


def served_mib(deployment: Deployment) -> float:
    """Memory in MiB of the server and the gateway."""
    return memory_mib(deployment.server.pid) + memory_mib(deployment.gateway.pid)


def soak(duration_s: float, kinds: str) -> tuple[Tally, Observations]:
    """Run the load and inject the faults of `kinds`; raises RuntimeError if the server does not start."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        repository = Path(folder) / "repository"
        shutil.copytree(DEMO_REPOSITORY, repository)
        with (
            deployed(repository, "soak", judge=True) as deployment,
            Client(deployment.grpc_url, timeout_s=DEADLINE_S) as client,
            Client(deployment.grpc_url, timeout_s=PROBE_TIMEOUT_S) as probe,
            triton.InferenceServerClient(deployment.grpc_url) as raw_client,
            MixedLoad(client, raw_client, tally) as load,
        ):
            injections = fault_injections(deployment, repository, load, kinds)
            observations = inject_faults(deployment, injections, probe, duration_s)
    return tally, observations


def describe(tally: Tally, observations: Observations) -> dict[str, Any]:
    """The report's counts of the load and the server, by their names in the printed table."""
    return {
        "sent": tally.sent,
        "answered": tally.answered,
        "refused as invalid": tally.refused,
        "cancelled by their callers": tally.cancelled,
        "failed with a typed error": dict(tally.failed),
        "lost": tally.lost,
        "wrong": tally.wrong,
        "answered without the judge": tally.without_judge,
        "tritonserver started again by the launcher": observations.restarts,
        "recoveries_s": dict(observations.recoveries_s),
        "memory_mib": observations.memory_mib,
    }


def soak_table(tally: Tally, observations: Observations) -> Table:
    """Print the requests by outcome, the seconds to each recovery, and the memory."""
    described = describe(tally, observations)
    recoveries_s = described.pop("recoveries_s")
    memory_readings_mib = described.pop("memory_mib")
    described["wrong"] = len(tally.wrong)
    failures = ", ".join(f"{number} {error}" for error, number in tally.failed.most_common())
    described["failed with a typed error"] = failures or "0"
    table = Table("measured", "result", caption="requests, unless the row says otherwise")
    for name, value in described.items():
        table.add_row(name, str(value))
    for fault, seconds in recoveries_s.items():
        table.add_row(f"recovery after: {fault}", "none" if seconds is None else f"{seconds:.1f} s")
    table.add_row("memory, MiB", ", ".join(f"{reading_mib:.0f}" for reading_mib in memory_readings_mib))
    return table


def exit_status(tally: Tally, observations: Observations) -> int:
    """1 if a request was lost, an answer was wrong, or the server did not recover; else 0."""
    return int(bool(tally.lost or tally.wrong) or None in observations.recoveries_s.values())


def main(duration_s: float, kinds: str, output: Path) -> int:
    """Soak, print the table and write the report; returns the exit status."""
    tally, observations = soak(duration_s, kinds)
    console.print(soak_table(tally, observations))
    write_samples(output, {"duration_s": duration_s, **describe(tally, observations)})
    return exit_status(tally, observations)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the soak's options."""
    parser.add_argument("--duration-s", type=float, default=600.0, metavar="S", help="seconds of load")
    parser.add_argument(
        "--kinds", choices=("all", "single", "pairs"), default="all", help="faults that are injected"
    )
