"""The JSON file of a benchmark: its samples and the hardware."""

import json
import platform
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from launcher.host.devices import available_cores

console = Console()


def write_samples(output: Path, measured: dict[str, Any]) -> None:
    """Write the samples and the hardware to the file `output`, and print its path."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"hardware": describe_hardware(), **measured}), "utf-8")
    console.print(f"samples: {output}")


def read_samples(path: Path) -> dict[str, Any]:
    """Read a file that `write_samples` wrote."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def describe_hardware() -> dict[str, str | int]:
    """Processor, cores available to this process, memory in GiB, and operating system."""
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
