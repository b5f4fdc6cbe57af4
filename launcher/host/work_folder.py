"""Lets a server run on a read-only repository, by links to its files in a writable folder.

The work folder stays between starts, unlike the scratch folder of a single run.
"""

from pathlib import Path

from launcher.host.files import HOST_FILES


def link_repository(repository: Path, work_folder: Path) -> Path:
    """Fill a folder below `work_folder` with links to the files of `repository`; returns that folder.

    Files that an earlier server packed there stay, and are reused if they still match.
    """
    linked = work_folder / "repository"
    for old in linked.rglob("*"):
        if old.is_symlink():
            old.unlink()
    for file in repository.rglob("*"):
        if file.is_file() and file.name not in HOST_FILES and "__pycache__" not in file.parts:
            link = linked / file.relative_to(repository)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return linked
