"""`python -m perf overhead`: CPU time of a text besides the encoders' own runs, by process.

Eight callers send the workload to a server without the judge, in requests of one text and of sixteen. The
sessions are the encoders alone: raw ONNX Runtime on the same batches, one thread for each core. The overhead
is the server's CPU time minus theirs. With `--against`, the server of another checkout takes turns with this
one's, so that other work on the machine affects both alike.
"""

import argparse
import contextlib
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from launcher.exposure.ports import free_ports
from launcher.recovery.processes import STUB, model_of
from launcher.repository.contract import CHECKOUT
from perf.baselines.encoder_sessions import EncoderSessions
from perf.load.callers import screening
from perf.load.rounds import THROUGHPUT_CALLERS
from perf.load.workload import batches, read_workload
from perf.paths import OUTPUT_FOLDER
from perf.samples import write_samples
from perf.serving.core_meter import used_s
from perf.serving.deployment import LOOPBACK, wait_until_served
from perf.serving.exports import PRECISIONS, exported_in
from perf.serving.launched_server import LaunchedServer
from perf.serving.servers import CLIENT_TIMEOUT_S

REQUEST_TEXTS = (1, 16)
HERE, AGAINST, SESSIONS = "here", "against", "sessions"
CLIENT, TRITON = "client", "tritonserver"
# Passes over the workload in each turn, which take some seconds.
DEMO_PASSES, FULL_SIZE_PASSES = 20, 3
# Milliseconds for each text, by process.
Costs = dict[str, float]
# The costs of each round, by `key`.
Samples = dict[str, list[Costs]]
ROUNDS = 5
console = Console()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument(
        "--full-size",
        choices=PRECISIONS,
        metavar="PRECISION",
        help=f"encoders of full size at {' or '.join(PRECISIONS)}, instead of the demonstration's",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="another checkout, whose server takes turns with this one's",
    )


def key(name: str, texts: int) -> str:
    """The key of the samples of `name` in requests of `texts`."""
    return f"{name} texts={texts}"


@contextlib.contextmanager
def served(checkout: Path, repository: Path, log_name: str) -> Iterator[LaunchedServer]:
    """Run the launcher of `checkout` in this checkout's environment, until the context ends."""
    log_file = OUTPUT_FOLDER / f"{log_name}.log"
    server = LaunchedServer(repository, free_ports(), log_file, "--without-judge", checkout=checkout)
    server.start()
    try:
        wait_until_served(server)
        yield server
    finally:
        server.stop()


def server_cpu_s(server: LaunchedServer) -> Costs:
    """CPU seconds that each process of the server has used so far; sums the processes of a model."""
    used: dict[str, float] = defaultdict(float)
    launcher = psutil.Process(server.pid)
    for process in [launcher, *launcher.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            command, times = process.cmdline(), process.cpu_times()
            is_stub = bool(command) and command[0].endswith(STUB)
            name = model_of(command[-2]) if is_stub else process.name()
            used[name if is_stub or name == TRITON else "launcher"] += times.user + times.system
    return used


def server_costs(server: LaunchedServer, client: Client, requests: Sequence[Sequence[str]]) -> Costs:
    """Send the requests by THROUGHPUT_CALLERS; returns the cost of the server's processes and the client."""

    def used() -> Costs:
        return {**server_cpu_s(server), CLIENT: used_s(psutil.Process())}

    before = used()
    with ThreadPoolExecutor(THROUGHPUT_CALLERS) as pool:
        list(pool.map(screening(client), requests))
    after = used()
    sent = sum(map(len, requests))
    return {name: (after[name] - before[name]) * 1000 / sent for name in after}


def measure(rounds: int, full_size: str | None, against: Path | None) -> Samples:
    """Rounds of the sessions, this checkout's server and, if given, the other's, in turns."""
    checkouts = {HERE: CHECKOUT, **({AGAINST: against.resolve()} if against else {})}
    repositories = {name: exported_in(checkout, full_size) for name, checkout in checkouts.items()}
    passes = FULL_SIZE_PASSES if full_size else DEMO_PASSES
    requests = {texts: batches(read_workload(), texts) * passes for texts in REQUEST_TEXTS}
    sessions = EncoderSessions(repositories[HERE])
    samples: Samples = {}
    with contextlib.ExitStack() as stack:
        turns = {SESSIONS: sessions.costs_ms}
        for name, checkout in checkouts.items():
            server = stack.enter_context(served(checkout, repositories[name], f"overhead_{name}"))
            client = Client(f"{LOOPBACK}:{server.ports.grpc}", timeout_s=CLIENT_TIMEOUT_S)
            turns[name] = partial(server_costs, server, stack.enter_context(client))
        for turn in turns.values():
            for batch in requests.values():
                turn(batch[: len(batch) // passes])
        for number in track(range(rounds), "measuring", console=console):
            for texts, batch in requests.items():
                # The order alternates from round to round.
                for name in sorted(turns, reverse=bool(number % 2)):
                    samples.setdefault(key(name, texts), []).append(turns[name](batch))
    return samples


def overhead_ms(server: Mapping[str, float], sessions: Mapping[str, float]) -> float:
    """Milliseconds for each text that the server used beyond the sessions, without the client."""
    return sum(server.values()) - server[CLIENT] - sum(sessions.values())


def overheads(samples: Samples, name: str, texts: int) -> list[float]:
    """The overhead of each round."""
    rounds = zip(samples[key(name, texts)], samples[key(SESSIONS, texts)], strict=True)
    return [overhead_ms(server, sessions) for server, sessions in rounds]


def overhead_table(samples: Samples, texts: int) -> Table:
    """Medians of all rounds, by process; with another checkout, its figures and the ratios to them."""
    servers = [name for name in (HERE, AGAINST) if key(name, texts) in samples]
    table = Table(
        "ms of CPU a text",
        *servers,
        *(["ratio"] if AGAINST in servers else []),
        title=f"{texts} texts in a request" if texts > 1 else "1 text in a request",
    )

    def add_row(label: str, rounds: Sequence[Sequence[float]]) -> None:
        ratio = []
        if len(rounds) > 1:
            ratios = [here / other for here, other in zip(*rounds, strict=True) if other]
            ratio = [f"{statistics.median(ratios):.2f}" if ratios else "-"]
        table.add_row(label, *(f"{statistics.median(values):.3f}" for values in rounds), *ratio)

    sessions = samples[key(SESSIONS, texts)]
    measured = [samples[key(name, texts)] for name in servers]
    for process in dict.fromkeys(process for rounds in measured for process in rounds[0]):
        add_row(process, [[costs.get(process, 0.0) for costs in rounds] for rounds in measured])
        if process in sessions[0]:
            own = [costs[process] for costs in sessions]
            add_row(f"  its session alone, {process}", [own] * len(servers))
    add_row("server outside the sessions", [overheads(samples, name, texts) for name in servers])
    return table


def main(rounds: int, output: Path, full_size: str | None, against: Path | None) -> None:
    """Measure, print a table for each size of request, and write the samples."""
    samples = measure(rounds, full_size, against)
    for texts in REQUEST_TEXTS:
        console.print(overhead_table(samples, texts))
    write_samples(output, {"encoders": full_size or "demo", "cpu_ms": samples})
