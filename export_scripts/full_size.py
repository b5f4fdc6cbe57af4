"""`python -m export_scripts.full_size DIR`: the members' architectures in full size, with random weights.

They decide nothing; they cost what the real members cost, for parity and speed where the hub is
out of reach. `--source DIR` exports them. The shapes are those of the members' config.json.
"""

import argparse
from pathlib import Path

from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    set_seed,
)

from export_scripts.members import ENCODERS, MAX_TOKENS
from export_scripts.sources import DEMO_WEIGHTS

SEED = 7
# Wider than the 0.02 of training, so that the scores of different texts differ visibly.
INITIALIZER_RANGE = 0.05


def full_size_model(name: str) -> PreTrainedModel:
    """Randomly initialised model of the member `name`: 82M parameters for rejection, 33M for aegis."""
    set_seed(SEED)
    labels = dict(enumerate(ENCODERS[name].labels))
    if name == "rejection":
        return RobertaForSequenceClassification(
            RobertaConfig(
                vocab_size=50265,
                num_hidden_layers=6,
                # RoBERTa counts positions from 2.
                max_position_embeddings=MAX_TOKENS + 2,
                type_vocab_size=1,
                initializer_range=INITIALIZER_RANGE,
                id2label=labels,
            )
        )
    return BertForSequenceClassification(
        BertConfig(
            hidden_size=384, intermediate_size=1536, initializer_range=INITIALIZER_RANGE, id2label=labels
        )
    )


def write_full_size(folder: Path) -> None:
    """Write one checkpoint folder for each member below `folder`, with the demo members' tokenizers."""
    for name in ENCODERS:
        full_size_model(name).save_pretrained(folder / name)
        AutoTokenizer.from_pretrained(DEMO_WEIGHTS / name).save_pretrained(folder / name)


def main() -> None:
    """Write the checkpoints to the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m export_scripts.full_size", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    write_full_size(parser.parse_args().folder)


if __name__ == "__main__":
    main()
