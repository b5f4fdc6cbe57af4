"""The demo judge: a small Phi-3 with the special tokens and the chat template of Phi-3."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForSeq2Seq,
    GenerationConfig,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
)

from export_scripts.demo.card import write_judge_card
from export_scripts.demo.embeddings import minilm_words, token_vectors
from export_scripts.demo.heldout import measure_judge
from export_scripts.demo.text import read_judgements
from export_scripts.demo.training import training_arguments
from export_scripts.prompt_template import CARD_PROMPT, PLACEHOLDER, JudgePrompt, render_prompt

VOCABULARY_SIZE = 8000
# Special tokens of microsoft/Phi-3-mini-4k-instruct, in order; they include the white space after them.
PHI3_TOKENS = (
    "<|endoftext|>",
    "<|assistant|>",
    *(f"<|placeholder{number}|>" for number in range(1, 5)),
    "<|system|>",
    "<|end|>",
    *(f"<|placeholder{number}|>" for number in range(5, 7)),
    "<|user|>",
)
# The template of microsoft/Phi-3-mini-4k-instruct.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
CONTEXT_TOKENS = 1024
HIDDEN_SIZE = 192
# A head size that vLLM's attention on CPU supports.
HEAD_SIZE = 64
LAYERS = 3
EPOCHS = 11


def without_some_full_stops(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same rows, every third text without its full stop: people often write none."""
    return [
        {**row, "text": row["text"].removesuffix(".")} if index % 3 == 0 else row
        for index, row in enumerate(rows)
    ]


def phi3_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """BPE with byte fallback like Phi-3's, trained on `texts` and MiniLM's words.

    The card's instructions before and after the text are one token each, because a model of this size
    gains nothing from reading them.
    """
    words = [word for word in minilm_words() if not word.startswith("##")]
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.Metaspace()
    learnt.train_from_iterator(
        [*texts, *words], trainers.BpeTrainer(vocab_size=VOCABULARY_SIZE, show_progress=False)
    )
    model = json.loads(learnt.to_str())["model"]
    fixed = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    entries = dict.fromkeys([*fixed, *sorted(model["vocab"], key=model["vocab"].__getitem__)])
    tokenizer = Tokenizer(
        models.BPE(
            {entry: row for row, entry in enumerate(entries)},
            [tuple(merge) for merge in model["merges"]],
            unk_token=fixed[0],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in fixed[:3]])
    tokenizer.add_special_tokens(
        [AddedToken(token, rstrip=True, normalized=False, special=True) for token in PHI3_TOKENS]
    )
    before, after = CARD_PROMPT.split(PLACEHOLDER)
    tokenizer.add_tokens([AddedToken(frame.lstrip("\n "), normalized=False) for frame in (before, after)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=fixed[1],
        eos_token=PHI3_TOKENS[0],
        pad_token=PHI3_TOKENS[0],
        unk_token=fixed[0],
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def untrained_judge(tokenizer: PreTrainedTokenizerFast) -> Phi3ForCausalLM:
    """A small Phi-3 with tied word embeddings, which start from MiniLM."""
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    config = Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN_SIZE,
        intermediate_size=4 * HIDDEN_SIZE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HIDDEN_SIZE // HEAD_SIZE,
        num_key_value_heads=HIDDEN_SIZE // HEAD_SIZE,
        max_position_embeddings=CONTEXT_TOKENS,
        original_max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        initializer_range=HIDDEN_SIZE**-0.5,
        resid_pdrop=0.1,
        embd_pdrop=0.1,
        attention_dropout=0.1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Phi3ForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id, end],
        pad_token_id=tokenizer.pad_token_id,
    )
    words = [tokenizer.convert_ids_to_tokens(row).replace("▁", " ").strip() for row in range(len(tokenizer))]
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(token_vectors(words, HIDDEN_SIZE))
    return model


def encode_judgement(
    tokenizer: PreTrainedTokenizerFast, prompt: JudgePrompt, row: dict[str, str]
) -> dict[str, Any]:
    """Prompt and answer of one row; the loss covers only the answer, which starts with the label."""
    prompt_ids = tokenizer(f"{prompt.prefix}{row['text']}{prompt.suffix}")["input_ids"]
    answer = f"{row['label']}. {row['reason']}<|end|>"
    answer_ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return {
        "input_ids": prompt_ids + answer_ids,
        "attention_mask": [1] * (len(prompt_ids) + len(answer_ids)),
        "labels": [-100] * len(prompt_ids) + answer_ids,
    }


def train_judge(folder: Path) -> None:
    """Train the judge on its text and write the checkpoint, in half precision, to `folder`."""
    rows = without_some_full_stops(read_judgements("train"))
    labels = [row["label"] for row in rows]
    tokenizer = phi3_tokenizer([*(row["text"] for row in rows), *(row["reason"] for row in rows), *labels])
    prompt = render_prompt(tokenizer)
    with tempfile.TemporaryDirectory() as scratch:
        # The shipped weights were trained with the seed 42, transformers' default.
        arguments = training_arguments(scratch, epochs=EPOCHS, learning_rate=7e-4, seed=42)
        model = untrained_judge(tokenizer)
        Trainer(
            model,
            arguments,
            train_dataset=[encode_judgement(tokenizer, prompt, row) for row in rows],
            data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
        ).train()
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_judge_card(folder, len(rows), measure_judge(folder))
