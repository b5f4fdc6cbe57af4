"""The JSON file that a benchmark writes: its samples and the hardware that they were measured on."""

import json
import platform
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from launcher.host.devices import available_cores

console = Console()


def write_samples(output: Path, measured: dict[str, Any]) -> None:
    """Write what was measured, with the hardware, to the file `output`, and print its path."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"hardware": describe_hardware(), **measured}), "utf-8")
    console.print(f"samples: {output}")


def read_samples(path: Path) -> dict[str, Any]:
    """Read a file that `write_samples` wrote."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def describe_hardware() -> dict[str, str | int]:
    """The processor, the cores that this process may use, the memory in GiB, and the operating system."""
    processor = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    )
    return {
        "processor": processor,
        "cores": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
