"""Memory of a server, which is many processes."""

import contextlib

import psutil


def memory_mib(pid: int) -> float:
    """MiB of the process `pid` and all below it, what they share counted once."""
    root = psutil.Process(pid)
    total_bytes = 0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total_bytes += process.memory_full_info().pss
    return total_bytes / 2**20
