"""`python -m perf compare`: screening by this server and by its alternatives, side by side.

Full-size architectures with random weights, the same texts, the same cores; rounds take turns, so
that what else the machine does falls on all alike. Ratios are the result, absolute figures belong to
the hardware.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from export_scripts.hub_models import ENCODERS
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from launcher.repository.manifest import MANIFEST
from perf.child import Child
from perf.fastapi_peer import FastApiPeer
from perf.hardware import describe_hardware
from perf.llm_guard_environment import find_llm_guard, write_llm_guard_checkpoint
from perf.rounds import Figures, Round, call_tribunal, warm_up
from perf.workload import FILE, WARMING

FOLDER = CHECKOUT / "build" / "perf"
OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
RAW = "raw"
PRECISIONS = ("fp32", "int8")
SERVED = tuple(f"tribunal {precision}" for precision in PRECISIONS)
# One caller shows latency, against the slower encoder alone; eight show throughput. Those whose ratio matters
# most stand beside each other.
CONTESTANTS = {
    1: ("raw-rejection", *SERVED, "llm-guard"),
    8: (RAW, *SERVED, "fastapi", "transformers", "optimum"),
}
console = Console()


def prepare() -> Path:
    """Export the full-size encoders at each precision, once; returns the folder of their checkpoints."""
    checkpoints = FOLDER / "checkpoints"
    if not checkpoints.exists():
        write_checkpoints(checkpoints, ENCODERS)
    missing = [precision for precision in PRECISIONS if not (FOLDER / precision / MANIFEST).exists()]
    with console.status("exporting the full-size encoders"), ThreadPoolExecutor(len(PRECISIONS)) as pool:
        list(pool.map(lambda precision: export(checkpoints, precision, ENCODERS), missing))
    return checkpoints


def write_checkpoints(folder: Path, models: Iterable[str]) -> None:
    """Write random weights of the models' full-size architectures; raises RuntimeError."""
    run_module("export_scripts.full_size", str(folder), "--models", *models)


def export(checkpoints: Path, precision: str, models: Iterable[str]) -> None:
    """Fill the repository of `precision` as a user would; raises RuntimeError."""
    options = ["--source", str(checkpoints), "--models", *models, "--precision", precision]
    run_module("export_scripts", *options, "--repository", str(FOLDER / precision))


def run_module(name: str, *arguments: str) -> None:
    """Run a module of the project in a process of its own; raises RuntimeError with what it said."""
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=CHECKOUT,
        # Two at once would take each other's cores.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stdout[-500:]}{done.stderr[-500:]}")


def ask_child(child: Child, callers: int) -> Round:
    """One pass of a peer over the workload."""
    return Round(**child.ask(str(callers)))


def compare(rounds: int) -> dict[str, list[Round]]:
    """Rounds of every contestant at each number of callers, under the key `contestant callers=N`."""
    checkpoints = prepare()
    samples: dict[str, list[Round]] = {}
    with contextlib.ExitStack() as stack:
        contestants: dict[str, Callable[[int], Round]] = {}
        commands: dict[str, list[str | Path]] = {
            peer: [sys.executable, "-m", "perf.peers", peer, checkpoints, FOLDER / "fp32"]
            for peer in ("raw-rejection", RAW, "transformers", "optimum")
        }
        script = Path(__file__).parent / "llm_guard_peer.py"
        commands["llm-guard"] = [
            find_llm_guard(),
            script,
            write_llm_guard_checkpoint(FOLDER),
            FILE,
            str(WARMING),
        ]
        children = {peer: stack.enter_context(Child(command, OFFLINE)) for peer, command in commands.items()}
        contestants["fastapi"] = stack.enter_context(FastApiPeer(checkpoints)).round
        for peer, child in children.items():
            child.wait_until_ready()
            contestants[peer] = functools.partial(ask_child, child)
        for precision, name in zip(PRECISIONS, SERVED, strict=True):
            log_file = FOLDER / f"{precision}.log"
            server = stack.enter_context(
                TritonServer(
                    ServerOptions(FOLDER / precision, ports=free_ports(), log_file=log_file, judge=False)
                )
            )
            client = stack.enter_context(Client(server.grpc_url, timeout_s=60))
            warm_up(client)
            contestants[name] = functools.partial(call_tribunal, client)
        for _ in track(range(rounds), "comparing", console=console):
            for callers, names in CONTESTANTS.items():
                for name in names:
                    samples.setdefault(f"{name} callers={callers}", []).append(contestants[name](callers))
    return samples


def print_table(samples: dict[str, list[Round]], callers: int) -> None:
    """Ratios to raw ONNX Runtime first, then figures of this machine."""
    figures = {
        key.split(" callers=")[0]: Figures.of(made)
        for key, made in samples.items()
        if key.endswith(f" callers={callers}")
    }
    limit = figures[CONTESTANTS[callers][0]].texts_per_s
    table = Table("contestant", "of raw", "texts/s", "p50 ms", "p99 ms", "failed", title=f"{callers} callers")
    for name, one in figures.items():
        table.add_row(
            name,
            f"{one.texts_per_s / limit:.2f}",
            f"{one.texts_per_s:.1f}",
            f"{one.p50_ms:.0f}",
            f"{one.p99_ms:.0f}",
            str(one.failures),
        )
    console.print(table)


def main(rounds: int, output: Path) -> None:
    """Measure, print a table for each number of callers, and keep the samples."""
    samples = compare(rounds)
    for callers in CONTESTANTS:
        print_table(samples, callers)
    document = {
        "hardware": describe_hardware(),
        "samples": {name: [asdict(one) for one in made] for name, made in samples.items()},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document), "utf-8")
    console.print(f"samples: {output}")
