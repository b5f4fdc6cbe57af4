"""The scratch folder and the shared memory of one run of tritonserver.

A run that is killed cannot remove them, so the next one does: whoever runs holds a lock, which the
kernel drops with the last process of the run.
"""

import contextlib
import fcntl
import shutil
import tempfile
from pathlib import Path

PREFIX = "tribunal-"
LOCK = "lock"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


class ScratchFolder:
    """A new folder below `parent`, by default the system's; raises OSError where it cannot be made.

    path: its name is the prefix of all shared memory of the run.
    lock_fd: file descriptor that every process of the run inherits.
    """

    def __init__(self, parent: Path | None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # It has its name only once it is locked, for another run looks for locks that nobody holds.
        unnamed = self.path / "unnamed"
        self._lock = unnamed.open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(self.path / LOCK)
        self.lock_fd = self._lock.fileno()

    def remove(self) -> None:
        """Remove it and the shared memory; safe to call more than once."""
        remove_scratch(self.path)
        self._lock.close()


def remove_abandoned(parent: Path) -> None:
    """Remove what killed runs have left below `parent`, and their shared memory."""
    for lock_file in parent.glob(f"{PREFIX}*/{LOCK}"):
        # One that runs, or is another user's, or was removed meanwhile.
        with contextlib.suppress(OSError), lock_file.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_scratch(lock_file.parent)


def remove_scratch(folder: Path) -> None:
    """Remove the folder of a run that has ended, and its shared memory."""
    for region in SHARED_MEMORY.glob(f"{folder.name}*"):
        region.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
