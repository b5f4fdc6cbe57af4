"""The texts that every benchmark sends: passages of our own sentences, most of them short, some long.

`python -m perf.workload` writes `workload.jsonl` anew; the same seed gives the same file.
"""

import json
import random
from pathlib import Path

from export_scripts.demo.text import read_judgements, read_text
from export_scripts.hub_models import ENCODERS

FILE = Path(__file__).parent / "workload.jsonl"
SEED = 20261
TEXTS = 80
LAST = 20
# So many of the first texts warm a contestant up before its first round.
WARMING = 8
# Shares of texts by their number of sentences, each of about 15 tokens; all fit one window.
SENTENCES = ((0.5, 1, 1), (0.3, 2, 4), (0.15, 5, 12), (0.05, 13, 28))


def make_texts() -> list[str]:
    """TEXTS passages, in an order that mixes their lengths."""
    chance = random.Random(SEED)  # noqa: S311 - no secret
    sentences = [row["text"] for row in read_judgements("heldout")]
    for encoder in ENCODERS.values():
        sentences += read_text(encoder, "heldout")[0]
    texts = []
    for share, fewest, most in SENTENCES:
        for _ in range(round(share * TEXTS)):
            texts.append(" ".join(chance.sample(sentences, chance.randint(fewest, most))))
    chance.shuffle(texts)
    # A long text at the end would be all that a round waits for.
    return texts[:-LAST] + sorted(texts[-LAST:], key=len, reverse=True)


def read_texts() -> list[str]:
    """The committed texts."""
    return [json.loads(line)["text"] for line in FILE.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps({"text": text}) + "\n" for text in make_texts()), "utf-8")
