"""Separate virtual environments for packages that conflict with Tribunal's."""

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from perf.paths import TOOLS_FOLDER


def install(name: str, packages: Sequence[str]) -> Path:
    """Install packages in `build/tools/<name>` if missing; returns its folder of programs.

    Raises CalledProcessError if the installation fails.
    """
    environment = TOOLS_FOLDER / name
    complete = environment / ".ready"
    if not complete.exists():
        venv.create(environment, clear=True)
        uv = Path(sys.executable).parent / "uv"
        python = environment / "bin" / "python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        complete.touch()
    return environment / "bin"
