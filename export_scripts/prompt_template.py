"""The judge's prompt: the prompt of its fine-tuning, in its tokenizer's chat template."""

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from export_scripts.errors import SourceError

# `format_input_classification` of the card of grounded-ai/phi3-toxicity-judge-merge, verbatim.
CARD_PROMPT = """
    You are examining written text content. Here is the text:
        ************
        [Text]: {text}
        ************

    Examine the text and determine  whether the text is toxic or not. Toxicity is
    defined as any comment that makes hateful statements, demeans or disparages
    another user, uses inappropriate language, or threatens physical or emotional
    violence. Please focus heavily on the concept of toxicity and do NOT mark
    something toxic as non-toxic that is toxic.

    Your classification must be single word followed by a reasoning as to why you chose
    the classification, either "toxic" or "non-toxic".
    "toxic" means that the text meets the definition of toxic.
    "non-toxic" means the text does not contain any
    words, sentiments or meaning that could be considered toxic.

    After your classification, provide the reason for your classification.
    """
PLACEHOLDER = "{text}"


@dataclass(frozen=True)
class JudgePrompt:
    """The prompt around a text.

    prefix, suffix: strings that vLLM tokenises to the ids of the chat template.
    special_tokens: every added token of the tokenizer that a text must not bring into the prompt, whether or
        not it is marked special; Phi-3's `</s>` is not.
    """

    prefix: str
    suffix: str
    special_tokens: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write the JSON file that the model `judge_prompt` reads."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n", "utf-8")


def verbatim_tokenizer(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same tokenizer, but it adds no special tokens.

    vLLM's backend takes the rendered prompt as a string. If the tokenizer added a BOS, the prompt would have
    two, or one that the template omits.
    """
    verbatim = copy.deepcopy(tokenizer.backend_tokenizer)
    verbatim.post_processor = TemplateProcessing(single="$A")
    return PreTrainedTokenizerFast(
        tokenizer_object=verbatim,
        chat_template=tokenizer.chat_template,
        model_max_length=tokenizer.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **tokenizer.special_tokens_map,
    )


def render_prompt(tokenizer: PreTrainedTokenizerFast) -> JudgePrompt:
    """Render the card's prompt as one user message, followed by the assistant's header.

    Raises SourceError if the tokenizer has no chat template, if its rendering as a string has other token
    ids, or if a special token in a text cannot be neutralised.
    """
    if not tokenizer.chat_template:
        raise SourceError("judge: the tokenizer has no chat template; name another with --judge-tokenizer")
    messages = [{"role": "user", "content": CARD_PROMPT}]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    wanted = tokenizer.apply_chat_template(messages, tokenize=True, add_generation_prompt=True)
    if tokenizer(rendered)["input_ids"] != wanted:
        raise SourceError("judge: the rendered prompt as a string has other token ids than the chat template")
    prefix, suffix = rendered.split(PLACEHOLDER)
    return JudgePrompt(prefix, suffix, added_tokens(tokenizer))


def added_tokens(tokenizer: PreTrainedTokenizerFast) -> tuple[str, ...]:
    """The added tokens of `tokenizer` that a space after their first visible character breaks.

    Single characters, such as a tab, are omitted, because they are ordinary text. Raises SourceError if one
    of them is marked special.
    """
    tokens = list(tokenizer.added_tokens_decoder.values())
    unbreakable = [str(token) for token in tokens if len(str(token).strip()) < 2 and token.special]
    if unbreakable:
        raise SourceError(
            f"judge: the special tokens {unbreakable} of the tokenizer are single characters, which cannot "
            "be made harmless in a text"
        )
    return tuple(str(token) for token in tokens if len(str(token).strip()) > 1)
