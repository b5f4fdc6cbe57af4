"""`python -m export_scripts.full_size DIR`: the models' architectures in full size, with random weights.

Their decisions mean nothing, but they cost as much as the real models, so parity and speed can be measured
without the hub. `--source DIR` exports them. The shapes are those of the models' config.json, except that
the judge has JUDGE_LAYERS of its 32 layers by default, because all layers take 7 GB in half precision.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    set_seed,
)

from export_scripts.hub_models import ENCODERS, HUB_MODELS
from export_scripts.sources import DEMO_WEIGHTS
from launcher.repository.contract import limits

SEED = 7
# Larger than training's 0.02, so that the scores of different texts differ visibly.
INITIALIZER_RANGE = 0.05
JUDGE_LAYERS = 2
RARE_LOGIT = -2.0


def full_size_model(name: str, judge_layers: int = JUDGE_LAYERS) -> PreTrainedModel:
    """Randomly initialised model of the model `name`.

    82M parameters for rejection, 33M for aegis, 275M for the judge's layers and the demo vocabulary.
    """
    set_seed(SEED)
    if name == "judge":
        vocabulary = AutoTokenizer.from_pretrained(DEMO_WEIGHTS / name)
        return Phi3ForCausalLM(
            Phi3Config(
                vocab_size=len(vocabulary),
                num_hidden_layers=judge_layers,
                pad_token_id=vocabulary.pad_token_id,
            )
        ).half()
    labels = dict(enumerate(ENCODERS[name].labels))
    if name == "rejection":
        return RobertaForSequenceClassification(
            RobertaConfig(
                vocab_size=50265,
                num_hidden_layers=6,
                # RoBERTa's positions start at 2.
                max_position_embeddings=limits().max_tokens + 2,
                type_vocab_size=1,
                initializer_range=INITIALIZER_RANGE,
                id2label=labels,
            )
        )
    aegis = BertForSequenceClassification(
        BertConfig(
            hidden_size=384, intermediate_size=1536, initializer_range=INITIALIZER_RANGE, id2label=labels
        )
    )
    # As with the real weights, few scores are near 0.5, where int8's rounding could change the decision.
    torch.nn.init.constant_(aegis.classifier.bias, RARE_LOGIT)
    return aegis


def write_full_size(folder: Path, models: Iterable[str], judge_layers: int = JUDGE_LAYERS) -> None:
    """Write one checkpoint folder for each of `models` below `folder`, with the demo models' tokenizers."""
    for name in models:
        full_size_model(name, judge_layers).save_pretrained(folder / name)
        AutoTokenizer.from_pretrained(DEMO_WEIGHTS / name).save_pretrained(folder / name)


def main() -> None:
    """Write the checkpoints to the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m export_scripts.full_size", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--models", nargs="+", choices=HUB_MODELS, default=list(HUB_MODELS))
    parser.add_argument(
        "--judge-layers", type=int, default=JUDGE_LAYERS, metavar="N", help="of the judge's 32 (%(default)s)"
    )
    options = parser.parse_args()
    write_full_size(options.folder, options.models, options.judge_layers)


if __name__ == "__main__":
    main()
