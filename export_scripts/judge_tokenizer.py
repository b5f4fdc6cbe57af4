"""Finds the judge's tokenizer, and converts it for the server.

The judge's repository on the hub has no tokenizer. The judge was tuned from BASE_MODEL, so the export takes
that model's tokenizer and chat template, at the revision of that time.
"""

import json
from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PretrainedConfig
from transformers.tokenization_utils_fast import PreTrainedTokenizerFast

from export_scripts.errors import SourceError
from export_scripts.hub_models import BASE_MODEL, BASE_REVISION, JUDGE
from export_scripts.prompt_template import CARD_PROMPT, PLACEHOLDER, JudgePrompt
from export_scripts.sources import TOKENIZER_FILES, Source, named_tokenizer

# One user message by the templates of BASE_MODEL when the judge was tuned, in April and May 2024:
# https://github.com/huggingface/chat-ui/pull/1081. Its template of July 2024 omits <s>.
CARD_FORM = ("<s><|user|>\n", "<|end|>\n<|assistant|>\n")


def has_tokenizer(folder: Path) -> bool:
    """Whether `folder` has any file of a tokenizer."""
    return any((folder / file).exists() for file in TOKENIZER_FILES)


def tokenizer_source(checkpoint: Source, chosen: str | None, say: Callable[[str], None]) -> Source:
    """The source of the judge's tokenizer: `chosen`, the checkpoint itself, or else BASE_MODEL.

    chosen: a folder, `OWNER/MODEL` or `OWNER/MODEL@REVISION`.
    say: receives a sentence if the tokenizer is BASE_MODEL's.
    Raises SourceError if it cannot be fetched.
    """
    if chosen:
        return named_tokenizer(chosen, JUDGE)
    if has_tokenizer(checkpoint.folder):
        return checkpoint
    say(
        f"judge: {checkpoint.name} holds no tokenizer; taking that of its base model {BASE_MODEL} at "
        f"{BASE_REVISION[:8]} (--judge-tokenizer chooses another)"
    )
    return named_tokenizer(f"{BASE_MODEL}@{BASE_REVISION}", JUDGE)


def load_tokenizer(source: Source, config: PretrainedConfig) -> PreTrainedTokenizerFast:
    """Load the tokenizer in `source`'s folder.

    Raises SourceError if it is missing or damaged, has no `tokenizers` implementation, or has tokens
    that the model of `config` does not know.
    """
    if not has_tokenizer(source.folder):
        raise SourceError(f"judge: {source.name} holds no tokenizer; name one with --judge-tokenizer")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source.folder, config=config, local_files_only=True, use_fast=True, trust_remote_code=False
        )
    # If tokenizer.json is damaged, `tokenizers` raises a plain Exception.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"judge: the tokenizer in {source.folder} is damaged or incomplete ({reason})"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise SourceError(f"judge: the tokenizer in {source.folder} has no `tokenizers` implementation")
    largest = max(tokenizer.get_vocab().values())
    if largest >= config.vocab_size:
        raise SourceError(
            f"judge: the tokenizer of {source.name} has token ids up to {largest}, and the model only "
            f"{config.vocab_size} embeddings: name the model's own with --judge-tokenizer"
        )
    return tokenizer


def follows_card(prompt: JudgePrompt) -> bool:
    """Whether the chat template of `prompt` equals the template at the time of the judge's tuning."""
    before, after = CARD_PROMPT.split(PLACEHOLDER)
    return (prompt.prefix, prompt.suffix) == (CARD_FORM[0] + before, after + CARD_FORM[1])


def splitting_tokenizer(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """The tokenizer for splitting long texts, with all added tokens marked special.

    The model `verdict` encodes special tokens as ordinary characters, because the judge reads them as such;
    `tokenizers` can do this only for tokens that are marked special.
    """
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in content["added_tokens"]:
        token["special"] = True
    return Tokenizer.from_str(json.dumps(content))
