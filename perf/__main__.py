"""`python -m perf`: the benchmarks, the soak test, and reports of their results."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from perf import (
    compare,
    gateway_overhead,
    gpu_check,
    guard,
    judge_throughput,
    overhead,
    overload,
    plot,
    scaling,
    scan_throughput,
    shapes,
    spans,
    start_time,
    sweep,
)
from perf.attack import command as attack
from perf.paths import OUTPUT_FOLDER
from perf.soak import soak

# Each benchmark by its command, with its default number of rounds.
BENCHMARKS: dict[str, tuple[ModuleType, int]] = {
    "compare": (compare, 5),
    "shapes": (shapes, 5),
    "scaling": (scaling, 3),
    "sweep": (sweep, 1),
    "scan": (scan_throughput, 1),
    "start": (start_time, 5),
    "judge": (judge_throughput, 3),
    "gateway": (gateway_overhead, 5),
    "guard": (guard, 1),
    "spans": (spans, 5),
    "overhead": (overhead, 5),
}
REPORTS: dict[str, ModuleType] = {"plot": plot}


def main() -> None:
    """Run the command that the command line names."""
    # SIGTERM raises SystemExit, so that a benchmark stops the servers that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = vars(command_line().parse_args())
    run_command: Callable[..., int | None] = options.pop("run_command")
    sys.exit(run_command(**options))


def command_line() -> argparse.ArgumentParser:
    """The parser of the command line; a command's options are the arguments of its `run_command`."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=purpose(__doc__))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add_command(name: str, module: ModuleType) -> argparse.ArgumentParser:
        description = purpose(module.__doc__)
        command = commands.add_parser(
            name,
            help=description.split("\n\n")[0],
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        command.set_defaults(run_command=module.main)
        return command

    for name, (module, rounds) in BENCHMARKS.items():
        command = add_command(name, module)
        command.add_argument(
            "--rounds", type=int, default=rounds, metavar="N", help="rounds that are measured"
        )
        output = OUTPUT_FOLDER / f"{name}.json"
        command.add_argument(
            "--output", type=Path, default=output, metavar="FILE", help="file of the samples"
        )
        if module is compare:
            compare.add_options(command)
        if module is judge_throughput:
            judge_throughput.add_options(command)
        if module is overhead:
            overhead.add_options(command)
    soak.add_options(add_command("soak", soak))
    attack.add_options(add_command("attack", attack))
    overload.add_options(add_command("overload", overload))
    gpu_check.add_options(add_command("gpu-check", gpu_check))
    for name, module in REPORTS.items():
        command = add_command(name, module)
        command.add_argument(
            "--folder", type=Path, default=OUTPUT_FOLDER, metavar="DIR", help="folder of the samples"
        )
    return parser


def purpose(docstring: str | None) -> str:
    """A module's docstring without the command at its start."""
    text = (docstring or "").split(": ", 1)[1]
    return text[0].upper() + text[1:]


if __name__ == "__main__":
    main()
