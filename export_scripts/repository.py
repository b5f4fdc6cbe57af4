"""Fills a model repository: writes all files to a temporary folder, then moves them one by one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.repository.contract import MODEL_REPOSITORY, is_generated
from launcher.repository.manifest import MANIFEST


@contextmanager
def staging(repository: Path) -> Iterator[Path]:
    """Yield a temporary folder, and on success move its files into `repository`.

    A repository other than the checkout's also receives the tracked configs and models. Files of an
    earlier export in a folder of weights are removed. On any error in the block, `repository` does not
    change. Raises OSError if `repository` cannot be written.
    """
    repository.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository.parent, prefix=f".{repository.name}-") as temporary:
        staged = Path(temporary)
        if repository.resolve() != MODEL_REPOSITORY:
            shutil.copytree(MODEL_REPOSITORY, staged, ignore=_generated, dirs_exist_ok=True)
        yield staged
        _swap_in(staged, repository)


def _generated(folder: str, names: list[str]) -> list[str]:
    parent = Path(folder).relative_to(MODEL_REPOSITORY)
    return [name for name in names if is_generated(parent / name)]


def _swap_in(staged: Path, repository: Path) -> None:
    files = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
    # The manifest describes the other files, so it comes last.
    for file in sorted(files, key=lambda file: file == MANIFEST):
        target = repository / file
        target.parent.mkdir(parents=True, exist_ok=True)
        (staged / file).replace(target)
    _remove_stale(repository, files)


def _remove_stale(repository: Path, files: list[Path]) -> None:
    """Remove files other than `files` from the folders that an export fills completely.

    The engine would load a shard or an index of an earlier export.
    """
    kept = {repository / file for file in files}
    for folder in {file.parent for file in files if is_generated(file.parent)}:
        for path in (repository / folder).iterdir():
            if path.is_file() and path not in kept:
                path.unlink()
