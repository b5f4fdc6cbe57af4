"""Every program of the repository starts: its modules, and the targets of the Makefile."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.repository.contract import CHECKOUT

FOLDERS = ("client/tribunal", "export_scripts", "launcher", "perf")
MAIN = 'if __name__ == "__main__":'
# They are started by other programs, and have no options.
STARTED_BY_OTHERS = ("perf.baselines", "perf.load.workload")


def programs() -> list[str]:
    """Modules that `python -m` runs."""
    files = [file for folder in FOLDERS for file in (CHECKOUT / folder).rglob("*.py")]
    found = [file for file in files if file != Path(__file__) and MAIN in file.read_text("utf-8")]
    names = [".".join(file.relative_to(CHECKOUT).with_suffix("").parts) for file in found]
    names = [name.removeprefix("client.").removesuffix(".__main__") for name in names]
    return sorted(name for name in names if not name.startswith(STARTED_BY_OTHERS))


def targets() -> list[str]:
    """The targets that `make` lists."""
    return re.findall(r"^([a-z-]+):.*## ", (CHECKOUT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_there_are_programs_and_targets() -> None:
    assert {"export_scripts", "launcher", "perf", "tribunal", "export_scripts.demo.recipe"} <= set(programs())
    assert {"demo", "test", "recipe"} <= set(targets())


@pytest.mark.parametrize("program", programs())
def test_a_program_explains_itself(program: str) -> None:
    command = [sys.executable, "-m", program, "--help"]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "usage" in ran.stdout.lower()
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("target", targets())
def test_a_target_names_only_programs_that_are_there(target: str) -> None:
    ran = subprocess.run(
        [str(shutil.which("make")), "--dry-run", "--always-make", target],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = re.findall(r"-m ([a-z_.]+)", ran.stdout)
    assert all(importlib.util.find_spec(module) for module in modules)
