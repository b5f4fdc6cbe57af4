"""`python -m perf compare`: screening by this server and by its alternatives, side by side.

Full-size architectures with random weights, the same texts, the same cores; rounds take turns, so
that what else the machine does falls on all alike. Ratios are the result, absolute figures belong to
the hardware.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from export_scripts.full_size import write_full_size
from export_scripts.members import CHECKOUT, ENCODERS
from local_server.preconditions import free_ports
from local_server.server import TritonServer
from perf.fastapi_peer import FastApiPeer
from perf.hardware import describe_hardware
from perf.rounds import Figures, Peer, Round, call_tribunal

FOLDER = CHECKOUT / "build" / "perf"
CALLERS = (1, 8)
RAW = ("raw-threads", "raw-processes")
PEERS = (*RAW, "transformers", "optimum")
PRECISIONS = ("fp32", "int8")
console = Console()


def prepare() -> Path:
    """Export the full-size encoders at each precision, once; returns the folder of their checkpoints."""
    checkpoints = FOLDER / "checkpoints"
    if not checkpoints.exists():
        write_full_size(checkpoints, ENCODERS)
    for precision in PRECISIONS:
        if not (FOLDER / precision / "manifest.json").exists():
            command = [
                *(sys.executable, "-m", "export_scripts", "--source", str(checkpoints)),
                *("--members", *ENCODERS, "--precision", precision, "--repository", str(FOLDER / precision)),
            ]
            subprocess.run(command, cwd=CHECKOUT, check=True)
    return checkpoints


def compare(rounds: int, contestants_wanted: list[str] | None = None) -> dict[str, list[Round]]:
    """Rounds of every contestant at each number of callers, under the key `contestant callers=N`."""
    checkpoints = prepare()
    samples: dict[str, list[Round]] = {}
    with contextlib.ExitStack() as stack:
        contestants: dict[str, Callable[[int], Round]] = {}
        for peer in PEERS:
            if contestants_wanted is None or peer in contestants_wanted:
                contestants[peer] = stack.enter_context(Peer(peer, checkpoints, FOLDER / "fp32")).round
        if contestants_wanted is None or "fastapi" in contestants_wanted:
            contestants["fastapi"] = stack.enter_context(FastApiPeer(checkpoints)).round
        for precision in PRECISIONS:
            name = f"tribunal {precision}"
            if contestants_wanted is None or name in contestants_wanted:
                server = stack.enter_context(
                    TritonServer(
                        FOLDER / precision,
                        ports=free_ports(),
                        log_file=FOLDER / f"{precision}.log",
                        judge=False,
                    )
                )
                client = stack.enter_context(Client(server.grpc_url, timeout_s=60))
                contestants[name] = lambda callers, client=client: call_tribunal(client, callers)
        for number in track(range(rounds + 1), "rounds", console=console):
            for callers in CALLERS:
                for name, run in contestants.items():
                    made = run(callers)
                    # The first round warms everything up.
                    if number > 0:
                        samples.setdefault(f"{name} callers={callers}", []).append(made)
    return samples


def print_table(samples: dict[str, list[Round]], callers: int) -> None:
    """Ratios to the best layout of raw ONNX Runtime first, then figures of this machine."""
    figures = {
        key.split(" callers=")[0]: Figures.of(made)
        for key, made in samples.items()
        if key.endswith(f" callers={callers}")
    }
    limit = max((figures[name].texts_per_s for name in RAW if name in figures), default=1.0)
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


def main(rounds: int, output: Path, contestants: list[str] | None) -> None:
    """Measure, print a table for each number of callers, and keep the samples."""
    samples = compare(rounds, contestants)
    for callers in CALLERS:
        print_table(samples, callers)
    document = {
        "hardware": describe_hardware(),
        "samples": {name: [asdict(one) for one in made] for name, made in samples.items()},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document), "utf-8")
    console.print(f"samples: {output}")
