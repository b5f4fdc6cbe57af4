"""`python -m perf`: the benchmarks."""

import argparse
import signal
import sys
from pathlib import Path

from perf import compare, judge, plot, scaling, scan, shapes, soak, start, summary, sweep

# Fewer where rounds are long and nothing is asked of their ratio.
ROUNDS = {scan: 1, sweep: 1, scaling: 3, judge: 3}


def main() -> None:
    """Run the benchmark that the command line names; told to end, it stops its servers first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (compare, shapes, scaling, sweep, scan, start, judge):
        name = module.__name__.split(".")[-1]
        command = _add(commands, name, module.__doc__)
        command.add_argument("--rounds", type=int, default=ROUNDS.get(module, 5), metavar="N")
        command.add_argument("--output", type=Path, default=compare.FOLDER / f"{name}.json", metavar="FILE")
        command.set_defaults(main=module.main)
        if module is judge:
            command.add_argument("--repository", type=Path, metavar="DIR", help="serve its judge instead")
            command.add_argument(
                "--texts", type=int, default=16, metavar="N", dest="number_of_texts", help="in each round"
            )
    soaking = _add(commands, "soak", soak.__doc__)
    soak.add_options(soaking)
    soaking.set_defaults(main=soak.main)
    for drawing in (plot, summary):
        command = _add(commands, drawing.__name__.split(".")[-1], drawing.__doc__)
        command.add_argument("--folder", type=Path, default=compare.FOLDER, metavar="DIR")
        command.set_defaults(main=drawing.main)
    options = vars(parser.parse_args())
    del options["command"]
    sys.exit(options.pop("main")(**options))


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str | None
) -> argparse.ArgumentParser:
    summary_line = (text or "").splitlines()[0].split(": ", 1)[1]
    return commands.add_parser(name, help=summary_line, description=text)


if __name__ == "__main__":
    main()
