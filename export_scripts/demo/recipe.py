"""`python -m export_scripts.demo.recipe`: train the demo models; takes minutes on two cores."""

import argparse
import tempfile
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    Trainer,
    set_seed,
)

from export_scripts.checkpoint import load_checkpoint
from export_scripts.demo.card import write_card
from export_scripts.demo.embeddings import token_vectors
from export_scripts.demo.heldout import measure_quality
from export_scripts.demo.judge_training import train_judge
from export_scripts.demo.text import read_text
from export_scripts.demo.training import training_arguments
from export_scripts.demo.vocabulary import byte_level_tokenizer, wordpiece_tokenizer
from export_scripts.hub_models import HUB_MODELS, JUDGE, HubModel
from export_scripts.sources import DEMO_WEIGHTS
from launcher.repository.contract import limits

SEED = 1
HIDDEN_SIZE = 192
# Larger than the usual 0.02, so that attention has an effect from the first step on, without pretraining.
INITIALIZER_RANGE = HIDDEN_SIZE**-0.5
SHAPE = {
    "hidden_size": HIDDEN_SIZE,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 4 * HIDDEN_SIZE,
    "hidden_dropout_prob": 0.1,
    "initializer_range": INITIALIZER_RANGE,
}
VOCABULARY_SIZES = {"rejection": 8000, "aegis": 12000}
EPOCHS = {"rejection": 15, "aegis": 20}


def untrained(encoder: HubModel, texts: list[str]) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A small model of the encoder's architecture, with word embeddings from MiniLM."""
    labels: dict[str, object] = {
        "id2label": dict(enumerate(encoder.labels)),
        "label2id": {label: index for index, label in enumerate(encoder.labels)},
        "problem_type": "multi_label_classification"
        if encoder.multi_label
        else "single_label_classification",
    }
    size = VOCABULARY_SIZES[encoder.name]
    config: PretrainedConfig
    model: PreTrainedModel
    if encoder.name == "rejection":
        tokenizer = byte_level_tokenizer(texts, size)
        # RoBERTa's positions start at 2.
        config = RobertaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=limits().max_tokens + 2,
            type_vocab_size=1,
            **SHAPE,
            **labels,
        )
        model = RobertaForSequenceClassification(config)
    else:
        tokenizer = wordpiece_tokenizer(size)
        config = BertConfig(
            vocab_size=len(tokenizer), max_position_embeddings=limits().max_tokens, **SHAPE, **labels
        )
        model = BertForSequenceClassification(config)
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    words = [tokenizer.convert_tokens_to_string([token]).strip() for token in tokens]
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(token_vectors(words, config.hidden_size))
    return model, tokenizer


def train(encoder: HubModel, folder: Path, epochs: int | None = None) -> None:
    """Train `encoder` on its text; write the checkpoint in half precision and its card to `folder`.

    epochs: None: as many as the encoder needs.
    """
    set_seed(SEED)
    texts, targets = read_text(encoder, "train")
    model, tokenizer = untrained(encoder, texts)
    wanted = targets if encoder.multi_label else targets.argmax(axis=1)
    rows = [
        {**tokenizer(text, truncation=True), "labels": label}
        for text, label in zip(texts, wanted, strict=True)
    ]
    with tempfile.TemporaryDirectory() as scratch:
        arguments = training_arguments(
            scratch, epochs=epochs or EPOCHS[encoder.name], learning_rate=5e-4, seed=SEED
        )
        collator = DataCollatorWithPadding(tokenizer)
        Trainer(model, arguments, train_dataset=rows, data_collator=collator).train()
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder, legacy_format=False)
    quality = measure_quality(load_checkpoint(folder, encoder), encoder)
    write_card(folder, encoder, len(texts), quality)
    print(encoder.name, quality)  # noqa: T201


def main() -> None:
    """Train the models that the command line names, all by default."""
    parser = argparse.ArgumentParser(prog="python -m export_scripts.demo.recipe", description=__doc__)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"of {', '.join(HUB_MODELS)}; all by default"
    )
    parser.add_argument("--weights", type=Path, default=DEMO_WEIGHTS, metavar="DIR", help="where to write")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="of the encoders, to try the recipe: fewer give worse weights"
    )
    options = parser.parse_args()
    if unknown := sorted(set(options.models) - set(HUB_MODELS)):
        parser.error(f"there is no model {', '.join(unknown)}; known: {', '.join(HUB_MODELS)}")
    for name in options.models or HUB_MODELS:
        if name == JUDGE.name:
            set_seed(SEED)
            train_judge(options.weights / name)
        else:
            train(HUB_MODELS[name], options.weights / name, options.epochs)


if __name__ == "__main__":
    main()
