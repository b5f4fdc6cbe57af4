"""Serving a read-only repository."""

from pathlib import Path

import pytest

from launcher.host.work_folder import link_repository


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for file in (
        "aegis/1/model.onnx",
        "aegis/1/local.onnx",
        "aegis/configs/local.pbtxt",
        "aegis/config.pbtxt",
    ):
        (tmp_path / "repository" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repository" / file).write_text(file)
    return tmp_path / "repository"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_exported_files_are_linked_and_a_hosts_files_are_not(repository: Path, tmp_path: Path) -> None:
    linked = link_repository(repository, tmp_path / "work")
    assert files(linked) == {"aegis/1/model.onnx", "aegis/config.pbtxt"}
    assert (linked / "aegis/1/model.onnx").read_text() == "aegis/1/model.onnx"


def test_again_it_follows_the_repository_and_keeps_its_own(repository: Path, tmp_path: Path) -> None:
    linked = link_repository(repository, tmp_path / "work")
    (linked / "aegis/1/local.onnx").write_text("packed here")
    (repository / "aegis/config.pbtxt").unlink()
    link_repository(repository, tmp_path / "work")
    assert files(linked) == {"aegis/1/model.onnx", "aegis/1/local.onnx"}
    assert (linked / "aegis/1/local.onnx").read_text() == "packed here"
    assert (repository / "aegis/1/local.onnx").read_text() == "aegis/1/local.onnx"
