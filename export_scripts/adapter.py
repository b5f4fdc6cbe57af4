"""Merges a LoRA adapter into its base model; the export then treats the result as any checkpoint."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

from export_scripts.errors import SourceError, SpaceError
from export_scripts.hub_models import JUDGE
from export_scripts.sources import TOKENIZER_FILES, Source, named_source

ADAPTER_CONFIG = "adapter_config.json"


def base_of(adapter: Source, chosen: str | None, say: Callable[[str], None]) -> Source:
    """The base model of `adapter`: `chosen`, or else the model that its adapter_config.json names.

    chosen: a folder, `OWNER/MODEL` or `OWNER/MODEL@REVISION`.
    say: receives a sentence about the base that is used.
    Raises SourceError if the adapter names no base, or the base cannot be fetched.
    """
    named = _named_base(adapter)
    if chosen:
        if named and named.partition("@")[0] != chosen.partition("@")[0]:
            say(f"judge: {adapter.name} was tuned from {named}, and is merged into {chosen}")
        return named_source(chosen, JUDGE)
    if not named:
        raise SourceError(
            f"judge: {adapter.name} names no base model in {ADAPTER_CONFIG}; name the base with --judge-base"
        )
    base = named_source(named, JUDGE)
    revision = f" at {base.revision}" if base.revision else ""
    say(f"judge: {adapter.name} names {named} as its base model; merging into it{revision}")
    return base


def _named_base(adapter: Source) -> str | None:
    try:
        config = json.loads((adapter.folder / ADAPTER_CONFIG).read_text("utf-8"))
        name, revision = config.get("base_model_name_or_path"), config.get("revision")
    except (OSError, ValueError, AttributeError):
        return None
    return f"{name}@{revision}" if name and revision else name or None


def merge_adapter(base: Source, adapter: Source, folder: Path) -> Source:
    """Merge `adapter` into `base`, in the base's dtype, and write the checkpoint to `folder`.

    The tokenizer and its chat template are the base's, if it has them. The whole base model is loaded into
    memory. Raises SourceError if one of the two is damaged or the adapter does not fit the base, and
    SpaceError if the disk is full.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base.folder, local_files_only=True, dtype="auto", trust_remote_code=False
        )
        merged = PeftModel.from_pretrained(model, adapter.folder).merge_and_unload()
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"judge: {adapter.name} cannot be merged into {base.name}: {reason}") from error
    try:
        merged.save_pretrained(folder)
        for file in TOKENIZER_FILES:
            if (base.folder / file).exists():
                shutil.copy(base.folder / file, folder)
    except (OSError, SafetensorError) as error:
        raise SpaceError(
            f"judge: the merged checkpoint could not be written to {folder} ({error})"
        ) from error
    revisions = [source.revision for source in (base, adapter) if source.revision]
    return Source(
        folder, f"{base.name} + {adapter.name}", " + ".join(revisions) or None, merged_from=(base, adapter)
    )
