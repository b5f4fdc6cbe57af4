"""`python -m perf`: the benchmarks."""

import argparse
from pathlib import Path

from perf import compare, shapes


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (compare, shapes):
        name = module.__name__.split(".")[-1]
        command = commands.add_parser(name, description=module.__doc__)
        command.add_argument("--rounds", type=int, default=5, metavar="N")
        command.add_argument("--output", type=Path, default=compare.FOLDER / f"{name}.json", metavar="FILE")
        command.set_defaults(main=module.main)
    options = parser.parse_args()
    options.main(options.rounds, options.output)


if __name__ == "__main__":
    main()
