"""What a figure was measured on."""

import platform
from pathlib import Path

import psutil

from launcher.host.tuning import available_cores


def describe_hardware() -> dict[str, str | int]:
    """Processor, cores that this process may use, memory in GiB, and the system."""
    model = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    )
    return {
        "processor": model,
        "cores": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
