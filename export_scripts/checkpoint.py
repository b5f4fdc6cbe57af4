"""Loads an encoder's checkpoint in PyTorch; refuses damaged checkpoints and other architectures.

It never executes code of a checkpoint: it ignores an `auto_map` in config.json.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from transformers.tokenization_utils_fast import PreTrainedTokenizerFast

from export_scripts.errors import SourceError
from export_scripts.hub_models import HubModel


@dataclass(frozen=True)
class Checkpoint:
    """A loaded encoder: the reference for the exported model."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast

    def serving_tokenizer(self) -> Tokenizer:
        """The `tokenizers` object of the tokenizer, which pads to the longest text and does not truncate."""
        tokenizer = Tokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.enable_padding(pad_id=self.tokenizer.pad_token_id, pad_token=self.tokenizer.pad_token)
        return tokenizer

    def input_ids(self, text: str) -> list[int]:
        """Token ids of one text with special tokens around it; special tokens inside it are plain text."""
        ids: list[int] = self.tokenizer(text, split_special_tokens=True, verbose=False)["input_ids"]
        return ids

    def logits(self, text: str) -> torch.Tensor:
        """Logits FP32 [labels] of one text, unpadded."""
        return self.window_logits(self.input_ids(text))

    @torch.no_grad()
    def window_logits(self, input_ids: list[int]) -> torch.Tensor:
        """Logits FP32 [labels] of one window of token ids, special tokens included."""
        logits: torch.Tensor = self.model(torch.tensor([input_ids])).logits[0]
        return logits


def require_architecture(folder: Path, model: HubModel) -> None:
    """Raise SourceError if config.json in `folder` cannot be read, or names another architecture."""
    try:
        architectures = json.loads((folder / "config.json").read_text("utf-8")).get("architectures")
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(
            f"{model.name}: the checkpoint in {folder} is damaged or incomplete (config.json: {error}); "
            "fetch it again"
        ) from error
    if architectures != [model.architecture]:
        raise SourceError(f"{model.name}: {folder} is a {architectures}, not a {model.architecture}")


def load_checkpoint(folder: Path, encoder: HubModel) -> Checkpoint:
    """Load `folder` in FP32.

    Raises SourceError if a file is damaged or missing, weights are missing (PyTorch would make
    them random), or architecture or labels are not the encoder's.
    """
    require_architecture(folder, encoder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, use_fast=True, trust_remote_code=False
        )
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    # If tokenizer.json is damaged, `tokenizers` raises a plain Exception.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"{encoder.name}: the checkpoint in {folder} is damaged or incomplete ({reason}); fetch it again"
        ) from error
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise SourceError(f"{encoder.name}: the checkpoint in {folder} lacks weights ({missing}, ...)")
    _require_labels(model.config.id2label, folder, encoder)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise SourceError(f"{encoder.name}: the tokenizer in {folder} has no `tokenizers` implementation")
    return Checkpoint(model.eval(), tokenizer)


def _require_labels(id2label: dict[int, str], folder: Path, encoder: HubModel) -> None:
    labels = tuple(id2label[index] for index in sorted(id2label))
    unnamed = tuple(f"LABEL_{index}" for index in range(len(encoder.labels)))
    if labels not in (encoder.labels, unnamed):
        raise SourceError(f"{encoder.name}: the labels in {folder} are {labels}, not {encoder.labels}")
