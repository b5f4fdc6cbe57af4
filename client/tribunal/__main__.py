"""Entry point of the command `tribunal`; it needs the extra `cli`, which the library does not."""

import sys


def main() -> None:
    """Run the command line, or say how to install what it needs."""
    try:
        from tribunal.commands.cli import app
        from tribunal.commands.exit_status import run
    except ModuleNotFoundError as error:
        sys.exit(f"tribunal: the command line needs {error.name}: pip install 'tribunal[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(app))


if __name__ == "__main__":
    main()
