"""Removes shared memory of Python's multiprocessing after its owner was killed.

The names are random, so a region's owners are the processes that map it.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
PREFIXES = ("psm_", "sem.mp-")


def group_members(group: int) -> list[int]:
    """Process ids of a process group."""
    pids = []
    for pid in _pids():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(pid) == group:
                pids.append(pid)
    return pids


def regions_mapped_by(pids: Iterable[int]) -> set[Path]:
    """Regions of multiprocessing that these processes map; ended processes map none."""
    regions = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/maps").read_text("utf-8", "replace").splitlines():
                path = Path(line.split(maxsplit=5)[-1])
                if path.parent == SHARED_MEMORY and path.name.startswith(PREFIXES):
                    regions.add(path)
    return regions


def remove_unmapped(regions: Iterable[Path]) -> None:
    """Remove the regions that no process maps."""
    wanted = set(regions)
    if not wanted:
        return
    for region in wanted - regions_mapped_by(_pids()):
        region.unlink(missing_ok=True)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
