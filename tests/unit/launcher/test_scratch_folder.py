"""A run removes folders of earlier runs, but not of running ones."""

import os
from pathlib import Path

import pytest

from launcher.process.scratch_folder import ScratchFolder, python_environments, remove_abandoned
from launcher.process.shared_memory import SHARED_MEMORY


def test_only_a_run_that_has_ended_is_removed(tmp_path: Path) -> None:
    first = ScratchFolder(tmp_path)
    folder = first.path
    region = SHARED_MEMORY / f"{folder.name}region"
    region.touch()
    second = ScratchFolder(tmp_path)
    assert folder.exists()
    assert region.exists()
    # Closing the last file descriptor releases the lock, like the death of a killed run's last process.
    del first
    third = ScratchFolder(tmp_path)
    assert not folder.exists()
    assert not region.exists()
    for run in (second, third):
        run.remove()
        run.remove()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_not_runs_are_kept(tmp_path: Path) -> None:
    (tmp_path / "tribunal-notes").mkdir()
    (tmp_path / "tribunal-notes" / "a file").touch()
    ScratchFolder(tmp_path).remove()
    assert (tmp_path / "tribunal-notes" / "a file").exists()


def test_a_lock_of_somebody_else_is_no_run(tmp_path: Path) -> None:
    """Other folders stay: one with an unheld lock, one with a FIFO as lock, one with a link to our lock."""
    kept = [tmp_path / f"tribunal-{name}" for name in ("foreign", "fifo", "link")]
    for folder in kept:
        folder.mkdir()
    (kept[0] / "lock").write_text("somebody else's")
    region = SHARED_MEMORY / f"{kept[0].name}-region"
    region.touch()
    os.mkfifo(kept[1] / "lock")
    ended = ScratchFolder(tmp_path)
    (kept[2] / "lock").symlink_to(ended.path / "lock")
    lock = (ended.path / "lock").read_bytes()
    del ended
    try:
        ScratchFolder(tmp_path).remove()
        assert all(folder.exists() for folder in kept)
        assert region.exists()
        assert lock
    finally:
        region.unlink()


def test_another_users_run_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ScratchFolder(tmp_path)
    folder = run.path
    del run
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    remove_abandoned(tmp_path)
    assert folder.exists()


def test_the_folders_of_the_python_backend_are_removed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.process.scratch_folder.PYTHON_ENVIRONMENTS", tmp_path)
    (tmp_path / "python_env_older").mkdir()
    run = ScratchFolder(tmp_path)
    before = python_environments()
    for name in ("empty", "full"):
        (tmp_path / f"python_env_{name}").mkdir()
    (tmp_path / "python_env_full" / "file").touch()
    run.note_python_environments(before)
    run.remove()
    assert {folder.name for folder in python_environments()} == {"python_env_older", "python_env_full"}
