"""The scratch folders and the shared memory of one run of tritonserver.

A run that is killed cannot remove them, so the next one does: each run holds a lock, which the
kernel drops with the last process of the run.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from launcher.process.shared_memory import SHARED_MEMORY

PREFIX = "tribunal-"
LOCK = "lock"
# Triton's Python backend makes an empty folder of this name for each run, and leaves it if it is killed.
PYTHON_ENVIRONMENTS, PYTHON_ENVIRONMENT = Path("/tmp"), "python_env_*"  # noqa: S108 - as in its source
LEFT = "python_environments"
# Distinguishes the launcher's folders from others with a similar name.
MARK = b"This folder belongs to one run of Tribunal's launcher, which locks this file while it runs.\n"


class ScratchFolder:
    """A new folder below `parent`, by default the system's; raises OSError if it cannot be made.

    path: its name is the prefix of all shared memory of the run.
    lock_fd: file descriptor that every process of the run inherits.
    """

    def __init__(self, parent: Path | None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # It gets its name only once it is locked, because another run removes folders with a free lock.
        unnamed = self.path / "unnamed"
        self._lock = unnamed.open("wb", buffering=0)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._lock.write(MARK)
        unnamed.rename(self.path / LOCK)
        self.lock_fd = self._lock.fileno()

    @property
    def has_noted(self) -> bool:
        """Whether the folders of Triton's Python backend were noted, or the folder is removed."""
        return not self.path.exists() or (self.path / LEFT).exists()

    def note_python_environments(self, before: set[Path]) -> None:
        """Note the empty folders that came since `before`, which are removed with this folder."""
        came = python_environments() - before
        (self.path / LEFT).write_text("\n".join(str(folder) for folder in sorted(came)), "utf-8")

    def remove(self) -> None:
        """Remove it and the shared memory; safe to call more than once."""
        remove_scratch(self.path)
        self._lock.close()


def remove_abandoned(parent: Path) -> None:
    """Remove the scratch folders of this user's killed runs below `parent`, and their shared memory."""
    for folder in parent.glob(f"{PREFIX}*"):
        # The run may be active or another user's, or its folder already removed.
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(folder.lstat().st_mode) and _is_abandoned(folder / LOCK):
                remove_scratch(folder)


def _is_abandoned(lock_file: Path) -> bool:
    """Whether `lock_file` is the launcher's own, of this user, and nobody holds it; raises OSError."""
    # Opening a FIFO would block, and a link could lead elsewhere.
    lock_fd = os.open(lock_file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        state = os.fstat(lock_fd)
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid():
            return False
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.read(lock_fd, len(MARK) + 1) == MARK
    finally:
        os.close(lock_fd)


def remove_scratch(folder: Path) -> None:
    """Remove the folder of a run that has ended, and its shared memory."""
    for region in SHARED_MEMORY.glob(f"{folder.name}*"):
        with contextlib.suppress(OSError):
            if region.lstat().st_uid == os.geteuid():
                region.unlink()
    with contextlib.suppress(OSError):
        for name in (folder / LEFT).read_text("utf-8").splitlines():
            with contextlib.suppress(OSError):
                # Only if it is empty: another run may have made it.
                Path(name).rmdir()
    shutil.rmtree(folder, ignore_errors=True)


def python_environments() -> set[Path]:
    """The folders of Triton's Python backend that are there now."""
    return set(PYTHON_ENVIRONMENTS.glob(PYTHON_ENVIRONMENT))
