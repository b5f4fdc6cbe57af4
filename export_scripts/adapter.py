"""Merges a LoRA adapter into its base model, as a checkpoint that is exported like any other."""

from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from export_scripts.errors import SourceError
from export_scripts.sources import Source


def merge_adapter(base: Source, adapter: Source, folder: Path) -> Source:
    """Merge `adapter` into `base`, in the base's dtype, and write the checkpoint to `folder`.

    The tokenizer and its chat template are the base's. Raises SourceError where one of the two is
    damaged, or the adapter is not one of this base.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(base.folder, local_files_only=True, dtype="auto")
        merged = PeftModel.from_pretrained(model, adapter.folder).merge_and_unload()
        tokenizer = AutoTokenizer.from_pretrained(base.folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"judge: {adapter.name} cannot be merged into {base.name}: {reason}") from error
    merged.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    revisions = [source.revision for source in (base, adapter) if source.revision]
    return Source(folder, f"{base.name} + {adapter.name}", " + ".join(revisions) or None)
