"""The benchmarks' full-size models: checkpoints with random weights, and their exports.

A full-size model has the architecture of the real one, so it costs as much, but its decisions mean nothing.
Exports stay in `build/perf` for the next benchmark.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from rich.console import Console

from export_scripts.hub_models import ENCODERS
from export_scripts.repository import staging
from launcher.repository.contract import CHECKOUT
from launcher.repository.manifest import MANIFEST
from perf.paths import DEMO_REPOSITORY, OUTPUT_FOLDER

CHECKPOINTS = OUTPUT_FOLDER / "checkpoints"
PRECISIONS: tuple[Literal["fp32", "int8"], ...] = ("fp32", "int8")
ERROR_CHARACTERS = 500
console = Console()


def full_size_repository(precision: str) -> Path:
    """The model repository of the full-size encoders at `precision`."""
    return OUTPUT_FOLDER / precision


def export_encoders() -> None:
    """Export the full-size encoders at each precision if missing; raises RuntimeError.

    Copies the current tracked models into an existing export.
    """
    if not CHECKPOINTS.exists():
        write_checkpoints(ENCODERS)
    missing = []
    for precision in PRECISIONS:
        if not (full_size_repository(precision) / MANIFEST).exists():
            missing.append(precision)
            continue
        take_tracked_models(full_size_repository(precision))
    with console.status("exporting the full-size encoders"), ThreadPoolExecutor(len(PRECISIONS)) as pool:
        list(pool.map(lambda precision: export(precision, ENCODERS), missing))


def take_tracked_models(repository: Path) -> None:
    """Copy this checkout's tracked models into an existing export."""
    with staging(repository):
        pass


def exported_in(checkout: Path, precision: str | None) -> Path:
    """The repository of a checkout's encoders; the checkout exports it if missing. Raises RuntimeError.

    precision: of the full-size encoders; None for the demonstration's.
    Copies the current tracked models into an existing export of this checkout, but not of another.
    """
    repository = checkout / (full_size_repository(precision) if precision else DEMO_REPOSITORY).relative_to(
        CHECKOUT
    )
    if not (repository / MANIFEST).exists():
        if precision and not CHECKPOINTS.exists():
            write_checkpoints(ENCODERS)
        source = (
            [*("--source", str(CHECKPOINTS)), *("--precision", precision)]
            if precision
            else ["--source", "demo"]
        )
        with console.status(f"exporting the encoders of {checkout}"):
            run_module(
                *("export_scripts", *source, "--models", *ENCODERS, "--repository", str(repository)),
                checkout=checkout,
            )
    elif checkout == CHECKOUT:
        take_tracked_models(repository)
    return repository


def export_encoders_and_judge() -> Path:
    """Export the fp32 encoders and a judge of full width if missing; raises RuntimeError.

    Returns their model repository. The judge has 2 of its 32 layers.
    """
    export_encoders()
    precision = PRECISIONS[0]
    repository = full_size_repository(precision)
    if not (repository / "phi3" / "1" / "model.json").exists():
        write_checkpoints(["judge"])
        with console.status("exporting the judge of full width"):
            export(precision, ["judge"])
    return repository


def write_checkpoints(models: Iterable[str]) -> None:
    """Write random weights of the models' full-size architectures; raises RuntimeError."""
    run_module("export_scripts.full_size", str(CHECKPOINTS), "--models", *models)


def export(precision: str, models: Iterable[str]) -> None:
    """Export the full-size models to the repository of `precision`; raises RuntimeError."""
    options = ["--source", str(CHECKPOINTS), "--models", *models, "--precision", precision]
    run_module("export_scripts", *options, "--repository", str(full_size_repository(precision)))


def run_module(name: str, *arguments: str, checkout: Path = CHECKOUT) -> None:
    """Run a module of a checkout in its own process; raises RuntimeError with the end of its output."""
    completed = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=checkout,
        # Two exports run concurrently; with more threads they would compete for the cores.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        output = completed.stdout[-ERROR_CHARACTERS:] + completed.stderr[-ERROR_CHARACTERS:]
        raise RuntimeError(f"{name} failed: {output}")
