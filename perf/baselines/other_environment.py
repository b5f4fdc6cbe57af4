"""Virtual environments of their own for packages that Tribunal's environment excludes."""

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from perf.paths import TOOLS_FOLDER


def install(name: str, packages: Sequence[str]) -> Path:
    """Install packages in `build/tools/<name>` unless that was done; returns its folder of programs.

    Raises CalledProcessError where they do not install.
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
