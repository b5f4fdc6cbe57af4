"""A repository against the checksums of its manifest."""

import subprocess
import sys
from pathlib import Path

import pytest

from launcher import StartError
from launcher.repository.contract import CHECKOUT, MODEL_REPOSITORY
from launcher.repository.manifest import MANIFEST, sha256, write_manifest
from launcher.repository.verification import require_exported, verify

FILES = ("aegis/1/model.onnx", "phi3/1/weights/model.safetensors", "tokenizer/1/aegis.json")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(file.encode() * 1000)
    checksums = {file: sha256(tmp_path / file) for file in FILES}
    write_manifest(tmp_path, {"models": {"aegis": {"files": checksums}}})
    return tmp_path


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"no model repository.*--repository"):
        require_exported(tmp_path)


def test_a_repository_that_was_not_exported(tmp_path: Path) -> None:
    (tmp_path / "moderation").mkdir()
    (tmp_path / "moderation" / "config.pbtxt").write_bytes(
        (MODEL_REPOSITORY / "moderation" / "config.pbtxt").read_bytes()
    )
    with pytest.raises(StartError, match="holds no exported models: run `make export"):
        require_exported(tmp_path)


def test_an_untouched_repository_passes(repository: Path) -> None:
    (repository / "aegis" / "1" / "local.onnx").write_bytes(b"not exported, so not the manifest's")
    assert verify(repository) == len(FILES)
    assert verify(repository, sha256(repository / MANIFEST).upper()) == len(FILES)


@pytest.mark.parametrize("file", FILES)
def test_one_changed_bit_is_named(repository: Path, file: str) -> None:
    content = bytearray((repository / file).read_bytes())
    content[-1] ^= 1
    (repository / file).write_bytes(content)
    with pytest.raises(StartError, match=rf"{file} was changed\. Export"):
        verify(repository)


def test_every_fault_is_named(repository: Path) -> None:
    (repository / FILES[0]).unlink()
    (repository / FILES[1]).write_bytes(b"")
    with pytest.raises(
        StartError, match=rf"{FILES[0]} cannot be read \(No such file.*{FILES[1]} was changed"
    ):
        verify(repository)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"models": {"aegis": {}}}', '{"models": [1]}'])
def test_a_damaged_manifest_is_refused(repository: Path, content: str) -> None:
    (repository / MANIFEST).write_text(content)
    with pytest.raises(StartError, match=r"manifest\.json is damaged"):
        verify(repository)
    (repository / MANIFEST).unlink()
    with pytest.raises(StartError, match=r"manifest\.json, which holds the checksums, is missing"):
        verify(repository)


def test_an_exchanged_manifest_is_refused(repository: Path) -> None:
    with pytest.raises(StartError, match="not the one whose checksum was given"):
        verify(repository, "0" * 64)


def test_the_command_needs_only_pythons_own_library(repository: Path) -> None:
    command = [sys.executable, "-S", "-m", "launcher.repository.verification", str(repository)]
    assert subprocess.run(command, cwd=CHECKOUT, check=False).returncode == 0
    (repository / FILES[0]).write_bytes(b"changed")
    refused = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert f"{FILES[0]} was changed" in refused.stderr
    assert "Traceback" not in refused.stderr
