"""Finds the files of a model: shipped with the project, on the Hugging Face hub, or in a folder on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from export_scripts.errors import SourceError
from export_scripts.hub_models import BASE_MODEL, BASE_REVISION, HubModel

DEMO_WEIGHTS = Path(__file__).parent / "demo" / "weights"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
CHECKPOINT_FILES = ("*.json", "*.txt", "*.jinja", "*.safetensors")
# Fetched only from a repository without safetensors, because both formats hold the same weights.
PICKLED_WEIGHTS = ("pytorch_model*.bin", "adapter_model.bin")
# Subfolders hold other formats of the checkpoint (onnx/, openvino/) or training states.
OTHER_FILES = ("*/*",)


@dataclass(frozen=True)
class Source:
    """A folder with a checkpoint or a tokenizer, and its origin.

    name: `demo`, `hub:OWNER/MODEL` or `dir:PATH`.
    revision: the hub's commit; None for folders.
    merged_from: base model and adapter of a merged checkpoint; empty for any other.
    """

    folder: Path
    name: str
    revision: str | None = None
    merged_from: "tuple[Source, ...]" = ()

    def origin(self) -> dict[str, str | None]:
        """Name and revision for the manifest."""
        return {"source": self.name, "revision": self.revision}


def resolve_source(source: str, model: HubModel, revision: str | None = None) -> Source:
    """Find `model` in `demo`, `hub` or a folder with one folder for each model.

    revision: the hub's; None for the model's pinned revision.
    Raises SourceError if there is no checkpoint.
    """
    if source == "hub":
        return _hub_checkpoint(model.name, model.hub_id, revision or model.hub_revision, "check --revision")
    folder = DEMO_WEIGHTS / model.name if source == "demo" else Path(source) / model.name
    if not (folder / "config.json").exists():
        raise SourceError(
            f"{model.name}: {folder} holds no checkpoint (no config.json); --source takes demo, hub, or a "
            "folder with one folder for each model"
        )
    return Source(folder, "demo" if source == "demo" else f"dir:{folder.resolve()}")


def named_source(text: str, model: HubModel) -> Source:
    """The checkpoint that `text` names for `model`: a folder, `OWNER/MODEL` or `OWNER/MODEL@REVISION`.

    The default revision is BASE_REVISION for the judge's base model, and `main` for any other model.
    Raises SourceError.
    """
    if Path(text).is_dir():
        return Source(Path(text), f"dir:{Path(text).resolve()}")
    hub_id, revision = _hub_name(text)
    return _hub_checkpoint(model.name, hub_id, revision, f"check {text!r}")


def named_tokenizer(text: str, model: HubModel) -> Source:
    """The tokenizer that `text` names for `model`, in the forms of `named_source`; does not fetch weights.

    Raises SourceError.
    """
    if Path(text).is_dir():
        return Source(Path(text), f"dir:{Path(text).resolve()}")
    hub_id, revision = _hub_name(text)
    wanted = f"{model.name}: the tokenizer of {hub_id} at revision {revision}"
    return _hub(wanted, hub_id, revision, f"check {text!r}", TOKENIZER_FILES)


def _hub_name(text: str) -> tuple[str, str]:
    hub_id, _, revision = text.partition("@")
    return hub_id, revision or (BASE_REVISION if hub_id == BASE_MODEL else "main")


def _hub_checkpoint(name: str, hub_id: str, revision: str, hint: str) -> Source:
    wanted = f"{name}: {hub_id} at revision {revision}"
    source = _hub(wanted, hub_id, revision, hint, CHECKPOINT_FILES)
    if not any(source.folder.glob("*.safetensors")):
        # The commit, because a branch may have moved since.
        source = _hub(wanted, hub_id, source.revision or revision, hint, PICKLED_WEIGHTS)
    return source


def _hub(wanted: str, hub_id: str, revision: str, hint: str, files: Sequence[str]) -> Source:
    try:
        folder = snapshot_download(
            hub_id, revision=revision, allow_patterns=list(files), ignore_patterns=list(OTHER_FILES)
        )
    except HFValidationError as error:
        raise SourceError(f"{wanted}: this is neither a folder nor OWNER/MODEL on the hub") from error
    except GatedRepoError as error:
        raise SourceError(
            f"{wanted} is gated: accept its terms on the hub, then `hf auth login` or set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise SourceError(f"{wanted}: no such revision; {hint}") from error
    except RepositoryNotFoundError as error:
        raise SourceError(f"{wanted}: no such model, or a private one; set HF_TOKEN if it is") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise SourceError(
            f"{wanted} is not in the local cache and the hub cannot be reached: go online once, or name a "
            "folder on disk instead"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{wanted} could not be downloaded: {reason}; try again") from error
    return Source(Path(folder), f"hub:{hub_id}", revision=Path(folder).name)
