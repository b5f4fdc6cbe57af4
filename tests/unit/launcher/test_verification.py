"""Verification of a repository by the checksums of its manifest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import StartError
from launcher.repository import verification
from launcher.repository.contract import CHECKOUT, MODEL_REPOSITORY, is_generated
from launcher.repository.manifest import MANIFEST, sha256, write_manifest
from launcher.repository.verification import record_path, require_exported, require_graphs_for_cpu, verify

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
    with pytest.raises(StartError, match=r"not a model repository.*--repository"):
        require_exported(tmp_path)


def test_a_repository_that_was_not_exported(tmp_path: Path) -> None:
    (tmp_path / "moderation").mkdir()
    (tmp_path / "moderation" / "config.pbtxt").write_bytes(
        (MODEL_REPOSITORY / "moderation" / "config.pbtxt").read_bytes()
    )
    with pytest.raises(StartError, match="has no exported models: run `make export"):
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
    with pytest.raises(StartError, match="differs from --manifest-sha256"):
        verify(repository, "0" * 64)


def change_unseen(file: Path) -> None:
    """Change a file's content, but neither its size nor its modification time."""
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were hashed since the start of the test."""
    names: list[str] = []

    def sha256_noted(file: Path) -> str:
        names.append(file.name)
        return sha256(file)

    monkeypatch.setattr(verification, "sha256", sha256_noted)
    return names


def test_the_first_start_hashes_every_file_and_later_ones_none(
    repository: Path, tmp_path: Path, hashed: list[str]
) -> None:
    record = record_path(repository, tmp_path / "work")
    assert verify(repository, full=False, record=record) == len(FILES)
    assert sorted(hashed) == sorted(Path(file).name for file in FILES)
    hashed.clear()
    assert verify(repository, full=False, record=record) == len(FILES)
    assert hashed == []
    assert verify(repository, full=True, record=record) == len(FILES)
    assert len(hashed) == len(FILES)


@pytest.mark.parametrize("file", FILES)
def test_a_quick_verification_hashes_what_changed_in_size_or_time(
    repository: Path, hashed: list[str], file: str
) -> None:
    record = record_path(repository, None)
    verify(repository, full=False, record=record)
    hashed.clear()
    os.utime(repository / file)
    verify(repository, full=False, record=record)
    assert hashed == [Path(file).name]
    (repository / file).write_bytes((repository / file).read_bytes()[::-1])
    with pytest.raises(StartError, match=rf"{file} was changed"):
        verify(repository, full=False, record=record)


def test_only_a_full_verification_sees_a_change_of_equal_size_and_time(repository: Path) -> None:
    record = record_path(repository, None)
    verify(repository, full=False, record=record)
    change_unseen(repository / FILES[1])
    verify(repository, full=False, record=record)
    with pytest.raises(StartError, match=rf"{FILES[1]} was changed"):
        verify(repository, full=True, record=record)


def test_another_export_is_hashed_whatever_the_record_says(repository: Path) -> None:
    record = record_path(repository, None)
    verify(repository, full=False, record=record)
    checksums = {file: sha256(repository / file) for file in FILES} | {FILES[0]: "0" * 64}
    write_manifest(repository, {"models": {"aegis": {"files": checksums}}})
    with pytest.raises(StartError, match=rf"{FILES[0]} was changed"):
        verify(repository, full=False, record=record)


def test_with_the_manifests_checksum_a_record_in_the_repository_is_not_used(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, hashed: list[str]
) -> None:
    checksum = sha256(repository / MANIFEST)
    inside, outside = record_path(repository, None), tmp_path_factory.mktemp("work") / "record"
    verify(repository, full=False, record=inside)
    change_unseen(repository / FILES[1])
    with pytest.raises(StartError, match=rf"{FILES[1]} was changed"):
        verify(repository, checksum, full=False, record=inside)
    change_unseen(repository / FILES[1])
    verify(repository, checksum, full=False, record=outside)
    hashed.clear()
    verify(repository, checksum, full=False, record=outside)
    assert [name for name in hashed if name != MANIFEST.name] == []


@pytest.mark.parametrize(
    "content", ["", "[]", '{"aegis/1/model.onnx": 1}', '{"aegis/1/model.onnx": {"size": 1}}']
)
def test_a_damaged_record_is_no_record(repository: Path, content: str, hashed: list[str]) -> None:
    record = record_path(repository, None)
    record.write_text(content)
    verify(repository, full=False, record=record)
    assert len(hashed) == len(FILES)


def test_a_record_that_cannot_be_written_stops_nothing(repository: Path, hashed: list[str]) -> None:
    for _ in range(2):
        assert verify(repository, full=False, record=repository / FILES[0] / "record") == len(FILES)
    assert len(hashed) == 2 * len(FILES)


def test_the_record_in_a_repository_is_no_source(repository: Path) -> None:
    assert is_generated(record_path(repository, None).relative_to(repository))


def test_the_command_needs_only_pythons_own_library(repository: Path) -> None:
    command = [sys.executable, "-S", "-m", "launcher.repository.verification", str(repository)]
    assert subprocess.run(command, cwd=CHECKOUT, check=False).returncode == 0
    record = repository / "record.json"
    assert subprocess.run([*command, "--record", str(record)], cwd=CHECKOUT, check=False).returncode == 0
    assert record.exists()
    (repository / FILES[0]).write_bytes(b"changed")
    refused = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert f"{FILES[0]} was changed" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_graph_for_gpus_is_refused_on_a_cpu(tmp_path: Path) -> None:
    graphs = {"rejection": {"graph": "packed"}, "aegis": {"graph": "loop"}, "judge": {}}
    write_manifest(tmp_path, {"models": graphs})
    with pytest.raises(StartError, match=r"^rejection: exported with .*fp16.* fp32 or int8\. .*GPU=1`$"):
        require_graphs_for_cpu(tmp_path)
    write_manifest(tmp_path, {"models": {"aegis": {"graph": "loop"}, "judge": {}}})
    require_graphs_for_cpu(tmp_path)
