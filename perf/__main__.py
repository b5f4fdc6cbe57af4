"""`python -m perf`: the benchmarks."""

import argparse
from pathlib import Path

from perf import compare, plot, scan, shapes, sweep


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (compare, scan, shapes, sweep):
        name = module.__name__.split(".")[-1]
        command = commands.add_parser(name, description=module.__doc__)
        command.add_argument("--rounds", type=int, default=1 if module in (scan, sweep) else 5, metavar="N")
        command.add_argument("--output", type=Path, default=compare.FOLDER / f"{name}.json", metavar="FILE")
        command.set_defaults(main=module.main)
    drawing = commands.add_parser("plot", description=plot.__doc__)
    drawing.add_argument("--folder", type=Path, default=compare.FOLDER, metavar="DIR")
    options = parser.parse_args()
    if options.command == "plot":
        plot.main(options.folder)
    else:
        options.main(options.rounds, options.output)


if __name__ == "__main__":
    main()
