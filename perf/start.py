"""`python -m perf start`: seconds from launch until every model of the demonstration weights is ready.

Cold: right after an export, whose weights are not packed yet, with the system's cache of files dropped
where this may be done (as root). Warm: any later start.
"""

import json
import os
import signal
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from perf.compare import FOLDER
from perf.hardware import describe_hardware

REPOSITORY = CHECKOUT / "build" / "demo_repository"
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
console = Console()


def make_cold() -> bool:
    """Take away what earlier starts have left; False where the cache of files must stay."""
    for packed in REPOSITORY.glob("*/1/local.*"):
        packed.unlink()
    os.sync()
    try:
        DROP_CACHES.write_text("3\n", "utf-8")
    except OSError:
        return False
    return True


def start_s(*, judge: bool) -> float:
    """Seconds that one start takes; the server is killed again."""
    started_s = time.perf_counter()
    server = TritonServer(
        ServerOptions(REPOSITORY, ports=free_ports(), log_file=FOLDER / "start.log", judge=judge)
    )
    with server:
        elapsed_s = time.perf_counter() - started_s
        os.killpg(server.pid, signal.SIGKILL)
    return elapsed_s


def main(rounds: int, output: Path) -> None:
    """Start the encoders `rounds` times cold and warm, once each with the judge; print medians."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    samples: dict[str, list[float]] = {}
    dropped = True
    for judge, repeats in ((False, rounds), (True, 1)):
        label = "with the judge" if judge else "encoders alone"
        for _ in track(range(repeats), f"starting, {label}", console=console):
            dropped = make_cold() and dropped
            samples.setdefault(f"{label}, cold", []).append(start_s(judge=judge))
            samples.setdefault(f"{label}, warm", []).append(start_s(judge=judge))
    table = Table("start", "seconds", title="" if dropped else "the system's cache of files was kept")
    for label, values in samples.items():
        table.add_row(label, f"{statistics.median(values):.1f}")
    console.print(table)
    document = {"hardware": describe_hardware(), "dropped_file_cache": dropped, "start_s": samples}
    output.write_text(json.dumps(document), "utf-8")
    console.print(f"samples: {output}")
