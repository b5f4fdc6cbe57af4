"""Errors name the unusable checkpoint and the reason."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from export_scripts import sources
from export_scripts.checkpoint import load_checkpoint
from export_scripts.errors import SourceError
from export_scripts.hub_models import BASE_MODEL, BASE_REVISION, ENCODERS, JUDGE
from export_scripts.sources import DEMO_WEIGHTS, named_source, named_tokenizer, resolve_source

AEGIS = ENCODERS["aegis"]


def test_demo_names_itself() -> None:
    source = resolve_source("demo", AEGIS)
    assert (source.name, source.revision) == ("demo", None)


def test_a_folder_needs_one_folder_for_each_model(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"aegis: .*holds no checkpoint \(no config\.json\)"):
        resolve_source(str(tmp_path), AEGIS)
    shutil.copytree(DEMO_WEIGHTS / "aegis", tmp_path / "aegis")
    assert resolve_source(str(tmp_path), AEGIS).name == f"dir:{tmp_path / 'aegis'}"


@pytest.mark.parametrize(
    ("name", "hub_id", "revision"),
    [
        ("OWNER/MODEL", "OWNER/MODEL", "main"),
        ("OWNER/MODEL@v1", "OWNER/MODEL", "v1"),
        # By default, the revision of the judge's base model at the time of the tuning.
        (BASE_MODEL, BASE_MODEL, BASE_REVISION),
        (f"{BASE_MODEL}@main", BASE_MODEL, "main"),
    ],
)
def test_a_name_on_the_hub_is_taken_at_its_revision(
    name: str, hub_id: str, revision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def download(hub_id: str, *, revision: str, **_: object) -> str:
        asked.append((hub_id, revision))
        (tmp_path / "model.safetensors").touch()
        return str(tmp_path)

    monkeypatch.setattr(sources, "snapshot_download", download)
    assert named_source(name, JUDGE).name == f"hub:{hub_id}"
    assert named_tokenizer(name, JUDGE).name == f"hub:{hub_id}"
    assert asked == [(hub_id, revision)] * 2


def test_what_names_nothing_is_said() -> None:
    for find in (named_source, named_tokenizer):
        with pytest.raises(SourceError, match="neither a folder nor OWNER/MODEL on the hub"):
            find("no/such/folder", JUDGE)


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def drop_classifier(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def change_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, **changes}), "utf-8")

    return change


def break_json(folder: Path) -> None:
    (folder / "config.json").write_text("{", "utf-8")


def cut_tokenizer(folder: Path) -> None:
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes()[:1000])


def drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


SWAPPED = {str(index): label for index, label in enumerate(reversed(AEGIS.labels))}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_weights, "damaged or incomplete"),
        (drop_weights, "damaged or incomplete"),
        (break_json, "damaged or incomplete"),
        (cut_tokenizer, "damaged or incomplete"),
        (drop_classifier, r"lacks weights \(classifier"),
        (change_config(id2label=SWAPPED), r"the labels in .* are \('Violence'"),
        (change_config(architectures=["BertForMaskedLM"]), "not a BertForSequenceClassification"),
    ],
)
def test_a_checkpoint_that_cannot_be_trusted_is_refused(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "aegis"
    shutil.copytree(DEMO_WEIGHTS / "aegis", folder)
    damage(folder)
    with pytest.raises(SourceError, match=f"(?s)aegis: .*{message}"):
        load_checkpoint(folder, AEGIS)
