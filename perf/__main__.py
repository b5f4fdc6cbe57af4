"""`python -m perf`: the benchmarks."""

import argparse
from pathlib import Path

from perf import compare


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser(
        "compare", help="this server and its alternatives, side by side", description=compare.__doc__
    )
    comparing.add_argument("--rounds", type=int, default=5)
    comparing.add_argument("--output", type=Path, default=compare.FOLDER / "compare.json", metavar="FILE")
    comparing.add_argument("--only", nargs="+", metavar="CONTESTANT", help="leave the others out")
    options = parser.parse_args()
    compare.main(options.rounds, options.output, options.only)


if __name__ == "__main__":
    main()
