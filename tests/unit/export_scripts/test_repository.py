"""Filling a repository is atomic."""

import json
import sys
from pathlib import Path

import pytest

from export_scripts.__main__ import ENCODER_PACKAGES, main
from export_scripts.encoders import OPSET
from export_scripts.export import Export
from export_scripts.repository import staging
from export_scripts.sources import Source
from launcher.repository.contract import MODEL_REPOSITORY
from launcher.repository.manifest import MANIFEST, read_manifest, sha256, write_manifest


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_repository_gets_the_tracked_models_and_what_was_staged(tmp_path: Path) -> None:
    repository = tmp_path / "deep" / "repository"
    with staging(repository) as staged:
        (staged / "aegis" / "1").mkdir(parents=True)
        (staged / "aegis" / "1" / "model.onnx").write_bytes(b"weights")
        write_manifest(staged, {"models": {}})
    assert (repository / "aegis" / "1" / "model.onnx").read_bytes() == b"weights"
    for tracked in ("moderation/config.pbtxt", "verdict/logic/policy.py", "verdict/labels.txt"):
        assert (repository / tracked).read_bytes() == (MODEL_REPOSITORY / tracked).read_bytes()
    assert list(tmp_path.glob("deep/.*")) == []


def test_a_failed_export_leaves_the_repository_as_it_was(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "aegis" / "1").mkdir(parents=True)
    (repository / "aegis" / "1" / "model.onnx").write_bytes(b"old")
    before = contents(tmp_path)

    def fail() -> None:
        with staging(repository) as staged:
            (staged / "aegis" / "1").mkdir(parents=True)
            (staged / "aegis" / "1" / "model.onnx").write_bytes(b"new")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail()
    assert contents(tmp_path) == before


def test_a_repository_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    arguments = ["export_scripts", "--source", "demo", "--repository", str(tmp_path / "file" / "repository")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 1
    assert "Export stopped: [Errno 17] File exists" in capsys.readouterr().err


def test_shards_of_an_earlier_export_do_not_stay_beside_the_new_ones(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    weights = Path("phi3") / "1" / "weights"
    for files in (("model-1.safetensors", "model.safetensors.index.json"), ("model.safetensors",)):
        with staging(repository) as staged:
            (staged / weights).mkdir(parents=True)
            for file in files:
                (staged / weights / file).write_bytes(b"weights")
            (staged / "aegis" / "1").mkdir(parents=True)
            (staged / "aegis" / "1" / "model.onnx").write_bytes(b"weights")
        (repository / "aegis" / "1" / "model.plan").write_bytes(b"made by another command")
    assert [file.name for file in (repository / weights).iterdir()] == ["model.safetensors"]
    assert (repository / "aegis" / "1" / "model.plan").exists()


def test_the_record_of_a_model_vouches_for_its_files(tmp_path: Path) -> None:
    file = Path("aegis") / "1" / "model.onnx"
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_bytes(b"abc")
    source = Source(tmp_path, "hub:AC/model", revision="1234")
    record = Export(source, "int8", (file,), ENCODER_PACKAGES, {"opset": OPSET}).record(tmp_path)
    assert record["source"] == "hub:AC/model"
    assert record["revision"] == "1234"
    assert (record["precision"], record["opset"]) == ("int8", OPSET)
    # SHA-256 of "abc", from FIPS 180-2, appendix B.1.
    assert record["files"] == {str(file): "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
    assert set(record["packages"]) >= {"torch", "transformers", "onnx", "onnxruntime"}
    assert sha256(tmp_path / file) == record["files"][str(file)]


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == {"models": {}}
    write_manifest(tmp_path, {"models": {"aegis": {"source": "demo"}}})
    assert read_manifest(tmp_path) == {"models": {"aegis": {"source": "demo"}}}
    assert json.loads((tmp_path / MANIFEST).read_text("utf-8"))["models"]
