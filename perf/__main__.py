"""`python -m perf`: the benchmarks, and plots of their results."""

import argparse
import inspect
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from perf import plot
from perf.gpu import check as gpu_check
from perf.growth import memory, scaling, sweep
from perf.judge import throughput as judge
from perf.paths import OUTPUT_FOLDER
from perf.quality import spans
from perf.robustness import overload
from perf.robustness.attack import command as attack
from perf.robustness.soak import soak
from perf.speed import compare, gateway, guard, overhead, scan, start

# Each command with its module. A module with ROUNDS, a default number, measures in rounds.
COMMANDS: dict[str, ModuleType] = {
    "compare": compare,
    "overhead": overhead,
    "gateway": gateway,
    "guard": guard,
    "scan": scan,
    "start": start,
    "judge": judge,
    "scaling": scaling,
    "sweep": sweep,
    "memory": memory,
    "spans": spans,
    "overload": overload,
    "soak": soak,
    "attack": attack,
    "gpu-check": gpu_check,
    "plot": plot,
}


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

    for name, module in COMMANDS.items():
        description = purpose(module.__doc__)
        command = commands.add_parser(
            name,
            help=description.split("\n\n")[0],
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        command.set_defaults(run_command=module.main)
        if hasattr(module, "ROUNDS"):
            command.add_argument(
                "--rounds", type=int, default=module.ROUNDS, metavar="N", help="rounds that are measured"
            )
        if hasattr(module, "add_options"):
            module.add_options(command)
        if "output" in inspect.signature(module.main).parameters and command.get_default("output") is None:
            output = OUTPUT_FOLDER / f"{name}.json"
            command.add_argument(
                "--output", type=Path, default=output, metavar="FILE", help="file of the results"
            )
    return parser


def purpose(docstring: str | None) -> str:
    """A module's docstring without the command at its start."""
    text = (docstring or "").split(": ", 1)[1]
    return text[0].upper() + text[1:]


if __name__ == "__main__":
    main()
