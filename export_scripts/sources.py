"""Finds the checkpoint folder of a model: shipped with the project, on the Hugging Face hub, or on disk."""

from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from export_scripts.errors import SourceError
from export_scripts.hub_models import HubModel

DEMO_WEIGHTS = Path(__file__).parent / "demo" / "weights"
CHECKPOINT_FILES = ["*.json", "*.txt", "*.safetensors", "pytorch_model.bin"]


@dataclass(frozen=True)
class Source:
    """A checkpoint folder and where it comes from.

    name: `demo`, `hub:OWNER/MODEL` or `dir:PATH`.
    revision: the hub's commit; None for folders.
    """

    folder: Path
    name: str
    revision: str | None = None


def resolve_source(source: str, model: HubModel, revision: str | None = None) -> Source:
    """Find `model` in `demo`, `hub` or a folder with one folder for each model.

    revision: of the hub; the model's pinned one where None.
    Raises SourceError where there is no checkpoint.
    """
    if source == "hub":
        return _hub(model, revision or model.hub_revision)
    folder = DEMO_WEIGHTS / model.name if source == "demo" else Path(source) / model.name
    if not (folder / "config.json").exists():
        raise SourceError(
            f"{model.name}: {folder} holds no checkpoint (no config.json); --source takes demo, hub, or a "
            "folder with one folder for each model"
        )
    return Source(folder, "demo" if source == "demo" else f"dir:{folder.resolve()}")


def named_source(text: str, model: HubModel) -> Source:
    """A folder, or `OWNER/MODEL` or `OWNER/MODEL@REVISION` on the hub; raises SourceError."""
    if Path(text).is_dir():
        return Source(Path(text), f"dir:{Path(text).resolve()}")
    hub_id, _, revision = text.partition("@")
    return _hub(replace(model, hub_id=hub_id), revision or "main")


def _hub(model: HubModel, revision: str) -> Source:
    wanted = f"{model.name}: {model.hub_id} at revision {revision}"
    try:
        folder = snapshot_download(
            model.hub_id,
            revision=revision,
            allow_patterns=CHECKPOINT_FILES,
            ignore_patterns=["onnx/*", "*.h5", "training_args.bin"],
        )
    except GatedRepoError as error:
        raise SourceError(
            f"{wanted} is gated: accept its terms on the hub, then `hf auth login` or set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise SourceError(f"{wanted}: no such revision; check --revision") from error
    except RepositoryNotFoundError as error:
        raise SourceError(f"{wanted}: no such model, or a private one; set HF_TOKEN if it is") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise SourceError(
            f"{wanted} is not in the local cache and the hub cannot be reached: go online once, or give "
            "--source a folder with the checkpoints"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise SourceError(f"{wanted} could not be downloaded: {error}; try again") from error
    return Source(Path(folder), f"hub:{model.hub_id}", revision=Path(folder).name)
