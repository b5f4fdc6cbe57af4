"""`python -m perf attack`: hostile and abandoned requests, over every port that callers reach.

It serves the demonstration models behind the gateway, or attacks the given addresses. Normal callers send
known texts meanwhile. The n-th request is the same for the same seed, so `--first` and `--requests` repeat
the requests that crashed a process. At the end, it holds connections with unfinished requests open. The exit
status is 1 if a process died, a verdict was wrong, or held connections blocked other callers.
"""

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tribunal import Client

from perf.load.callers import warm_up
from perf.load.workload import read_workload
from perf.paths import DEMO_REPOSITORY
from perf.robustness.attack.attack_texts import MAX_TEXT_BYTES, text_of_bytes
from perf.robustness.attack.bystander import Bystander
from perf.robustness.attack.campaign import Campaign
from perf.robustness.attack.held import HELD, hold
from perf.robustness.attack.observer import Death, Observer, memory_by_process_mib
from perf.robustness.attack.plan import nth_abandonment, nth_attack, seeded
from perf.robustness.attack.sender import Sender, Target
from perf.samples import write_samples
from perf.serving.deployment import LOOPBACK, deployed
from perf.serving.launched_server import LaunchedServer

ATTACKS_AT_ONCE, ABANDONED_AT_ONCE = 24, 64
# Requests of another seed, sent first, so that one-time allocations do not count as growth.
REHEARSED_ATTACKS, REHEARSED_ABANDONMENTS = 1500, 150
WARM_UP_ROUNDS = 3
WARM_UP_TIMEOUT_S = 60.0
BYSTANDER_TEXTS = 20
SHOWN_UNDER_WAY = 40
console = Console()


@dataclass
class Observations:
    """The results of an attack.

    outcomes: number of requests by kind and status, for each target and phase.
    examples: the first request of each kind and status.
    memory_mib: of each process name: at the start, after the rehearsal, at the end, and after the pause.
    wrong: a line for each wrong verdict of a normal caller, or for one that is missing at the end.
    shut_out_by: kinds of held connections that left other callers without a verdict.
    restarts: number of restarts of tritonserver by the launcher.
    """

    outcomes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)
    restarts: int = 0
    memory_mib: list[dict[str, float]] = field(default_factory=list)
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    shut_out_by: list[str] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    p50_ms: float | None = None
    elapsed_s: float = 0.0


@dataclass(frozen=True)
class Scene:
    """The targets, the processes to watch, and the server if it was started for the attack."""

    targets: Sequence[Target]
    roots: Sequence[int]
    server: LaunchedServer | None = None

    def restarts(self) -> int:
        """Number of restarts of tritonserver by the launcher."""
        return self.server.restarts if self.server else 0


@contextlib.contextmanager
def scene_of(
    http_url: str | None, grpc_url: str | None, watch: Sequence[int], triton: bool
) -> Iterator[Scene]:
    """The deployment at the given addresses, or a new one for the attack."""
    if http_url and grpc_url:
        http, grpc = urlsplit(http_url), urlsplit(f"//{grpc_url}")
        if not (http.hostname and http.port and grpc.port):
            raise ValueError("--http-url must be http://HOST:PORT and --grpc-url HOST:PORT")
        yield Scene([Target("given", http.hostname, http.port, grpc.port)], watch)
        return
    with deployed(DEMO_REPOSITORY, "attack") as deployment:
        gateway, server = deployment.gateway, deployment.server
        targets = [Target("gateway", LOOPBACK, gateway.ports.http, gateway.ports.grpc)]
        if triton:
            targets.append(Target("triton", LOOPBACK, server.ports.http, server.ports.grpc))
        yield Scene(targets, [server.pid, gateway.pid], server)


def prepare(target: Target, seed: int) -> None:
    """Send the requests that take most memory in normal use."""
    longest = text_of_bytes(seeded("warm up", seed, 0), MAX_TEXT_BYTES)
    with Client(target.grpc_url, timeout_s=WARM_UP_TIMEOUT_S) as client:
        for _ in range(WARM_UP_ROUNDS):
            warm_up(client)
            client.moderate(longest, judge="never")


async def attack_target(
    target: Target,
    name: str,
    campaign: Campaign,
    progress: Progress,
    seed: int,
    attacks: range,
    abandonments: range,
) -> dict[str, dict[str, dict[str, int]]]:
    """Send the attacks, then the abandoned requests; returns the outcomes by phase."""
    outcomes = {}
    async with Sender(target) as sender:
        task = progress.add_task(f"{name}: attacks", total=len(attacks))
        await campaign.run(
            attacks,
            lambda number: nth_attack(seed, number),
            sender.attack,
            lambda attack: f"{attack.protocol}, {attack.kind}",
            at_once=ATTACKS_AT_ONCE,
            on_sent=lambda: progress.advance(task),
        )
        outcomes[f"{name}, attacks"] = campaign.take_outcomes()
        task = progress.add_task(f"{name}: abandoned", total=len(abandonments))
        await campaign.run(
            abandonments,
            lambda number: nth_abandonment(seed, number),
            sender.abandon,
            lambda abandonment: abandonment.how,
            at_once=ABANDONED_AT_ONCE,
            on_sent=lambda: progress.advance(task),
        )
        outcomes[f"{name}, abandoned"] = campaign.take_outcomes()
    return outcomes


def attack(scene: Scene, seed: int, attacks: range, abandonments: range, pause_s: float) -> Observations:
    """Attack every target of the scene in turn, while normal callers send requests."""
    observations = Observations()
    main_target = scene.targets[0]
    prepare(main_target, seed)
    observations.memory_mib.append(memory_by_process_mib(scene.roots))
    texts = read_workload()[:BYSTANDER_TEXTS]
    bystanders = [Bystander(url, texts) for url in (main_target.grpc_url, main_target.http_url)]
    campaign = Campaign()
    started_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        observer = stack.enter_context(Observer(scene.roots, campaign.under_way))
        for bystander in bystanders:
            stack.enter_context(bystander)
        progress = stack.enter_context(Progress(console=console))
        rehearsal = (seed + 1, range(REHEARSED_ATTACKS), range(REHEARSED_ABANDONMENTS))
        observations.outcomes |= asyncio.run(
            attack_target(main_target, "rehearsal", campaign, progress, *rehearsal)
        )
        observations.memory_mib.append(memory_by_process_mib(scene.roots))
        for target in scene.targets:
            outcomes = attack_target(target, target.name, campaign, progress, seed, attacks, abandonments)
            observations.outcomes |= asyncio.run(outcomes)
            for held in HELD:
                progress.console.print(f"{target.name}: holding {held.connections} x {held.kind}")
                outcome = asyncio.run(hold(held, target))
                ends = {held.kind: outcome.ends, f"others beside {held.kind}": outcome.probes}
                observations.outcomes.setdefault(f"{target.name}, held", {}).update(ends)
                if outcome.shuts_out:
                    observations.shut_out_by.append(f"{target.name}: {held.kind}")
        observations.elapsed_s = time.monotonic() - started_s
        observations.memory_mib.append(memory_by_process_mib(scene.roots))
        time.sleep(pause_s)
    observations.memory_mib.append(memory_by_process_mib(scene.roots))
    observations.examples = campaign.examples()
    observations.deaths, observations.restarts = observer.deaths, scene.restarts()
    latencies_ms = [latency_ms for bystander in bystanders for latency_ms in bystander.latencies_ms]
    observations.answered = len(latencies_ms)
    observations.p50_ms = statistics.median(latencies_ms) if latencies_ms else None
    for bystander in bystanders:
        bystander.ask_each_once()
        observations.wrong += bystander.wrong
        for error, count in bystander.failed.items():
            observations.failed[error] = observations.failed.get(error, 0) + count
    return observations


def outcome_table(phase: str, outcomes: dict[str, dict[str, int]]) -> Table:
    """Number of requests of one phase by kind and status."""
    table = Table("kind", "requests", "ended with", title=phase)
    for kind, statuses in sorted(outcomes.items()):
        ended = ", ".join(f"{status} {count}" for status, count in sorted(statuses.items()))
        table.add_row(kind, str(sum(statuses.values())), ended)
    return table


def effect_table(observations: Observations) -> Table:
    """Print deaths, the normal callers' answers, and memory."""
    table = Table("observed", "result")
    table.add_row("deaths of processes", str(len(observations.deaths)))
    for death in observations.deaths:
        table.add_row("died", f"{death.process} ({death.pid}) after {death.at_s:.1f} s")
    table.add_row("tritonserver started again by the launcher", str(observations.restarts))
    table.add_row("verdicts of the normal callers", str(observations.answered))
    table.add_row("wrong ones", str(len(observations.wrong)))
    table.add_row("shut out by held connections", ", ".join(observations.shut_out_by))
    table.add_row("their errors", ", ".join(f"{count} {name}" for name, count in observations.failed.items()))
    if observations.p50_ms is not None:
        table.add_row("their median latency", f"{observations.p50_ms:.1f} ms")
    for name in dict.fromkeys(name for reading in observations.memory_mib for name in reading):
        values = (reading.get(name, 0.0) for reading in observations.memory_mib)
        table.add_row(f"memory of {name}, MiB", " -> ".join(f"{value:.0f}" for value in values))
    totals = [sum(reading.values()) for reading in observations.memory_mib]
    table.add_row("memory, MiB", " -> ".join(f"{total:.0f}" for total in totals))
    table.add_row("memory after the pause, relative to after the rehearsal", f"{totals[-1] / totals[1]:.2f}")
    table.add_row("duration", f"{observations.elapsed_s:.0f} s")
    return table


def exit_status(observations: Observations) -> int:
    """1 if a process died or was restarted, a verdict was wrong, or callers were blocked; else 0."""
    failed = observations.deaths or observations.wrong or observations.shut_out_by
    return int(bool(failed) or observations.restarts > 0)


def main(
    requests: int,
    cancels: int,
    first: int,
    seed: int,
    pause_s: float,
    http_url: str | None,
    grpc_url: str | None,
    watch: Sequence[int],
    triton: bool,
    output: Path,
) -> int:
    """Attack, print the results and write the report; returns the exit status."""
    attacks, abandonments = range(first, first + requests), range(first, first + cancels)
    with scene_of(http_url, grpc_url, watch, triton) as scene:
        observations = attack(scene, seed, attacks, abandonments, pause_s)
    for phase, outcomes in observations.outcomes.items():
        console.print(outcome_table(phase, outcomes))
    console.print(effect_table(observations))
    for death in observations.deaths:
        console.print(f"{death.process} died after {death.at_s:.1f} s; under way were:")
        for line in death.under_way[:SHOWN_UNDER_WAY]:
            console.print(f"  {line}", markup=False, highlight=False)
    report: dict[str, Any] = {"seed": seed, "first": first, "requests": requests, "cancels": cancels}
    observed = asdict(observations)
    raw = {name: observed.pop(name) for name in ("outcomes", "examples")}
    write_samples(output, report | observed, raw=raw)
    return exit_status(observations)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the attack's options."""
    parser.add_argument("--requests", type=int, default=20_000, metavar="N", help="hostile requests")
    parser.add_argument("--cancels", type=int, default=1_000, metavar="N", help="requests that are abandoned")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first request")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of all requests")
    parser.add_argument(
        "--pause-s", type=float, default=20.0, metavar="S", help="pause before memory is read the last time"
    )
    parser.add_argument("--http-url", metavar="URL", help="attack what runs at http://HOST:PORT")
    parser.add_argument("--grpc-url", metavar="URL", help="and its gRPC at HOST:PORT; give both")
    parser.add_argument(
        "--watch",
        type=int,
        nargs="*",
        default=[],
        metavar="PID",
        help="with addresses: the processes to watch, with all that they started",
    )
    parser.add_argument(
        "--triton", action="store_true", help="attack Triton's own ports as well, which callers do not reach"
    )
