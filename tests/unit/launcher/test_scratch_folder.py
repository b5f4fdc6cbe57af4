"""A run removes what runs before it have left, and nothing of those that go on."""

from pathlib import Path

from launcher.process.scratch_folder import SHARED_MEMORY, ScratchFolder


def test_only_a_run_that_has_ended_is_removed(tmp_path: Path) -> None:
    first = ScratchFolder(tmp_path)
    folder = first.path
    region = SHARED_MEMORY / f"{folder.name}region"
    region.touch()
    second = ScratchFolder(tmp_path)
    assert folder.exists()
    assert region.exists()
    # The lock goes with its last file descriptor, as it does with the last process of a killed run.
    del first
    third = ScratchFolder(tmp_path)
    assert not folder.exists()
    assert not region.exists()
    for run in (second, third):
        run.remove()
        run.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tribunal-notes").mkdir()
    (tmp_path / "tribunal-notes" / "a file").touch()
    ScratchFolder(tmp_path).remove()
    assert (tmp_path / "tribunal-notes" / "a file").exists()
