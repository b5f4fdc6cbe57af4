"""The processors of this host."""

import os
from pathlib import Path

DEVICES = Path("/dev")


def available_cores() -> int:
    """Number of cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def has_gpu(devices: Path = DEVICES) -> bool:
    """Whether NVIDIA's driver shows this process a GPU."""
    return any(devices.glob("nvidia[0-9]*"))
