"""The benchmarks' texts.

`python -m perf.load.workload` rewrites `workload.jsonl`; the same seed gives the same file.
"""

import json
import random
import string
from collections.abc import Sequence
from pathlib import Path

from export_scripts.demo.text import read_judgements, read_text
from export_scripts.hub_models import ENCODERS

WORKLOAD_FILE = Path(__file__).parent / "workload.jsonl"
WORKLOAD_TEXTS = 80
# Number of texts at the workload's end that are sorted, the longest first.
SORTED_TEXTS = 20
# Number of texts from the workload's start that are screened before the first round.
WARM_UP_TEXTS = 8
# Shares of the texts by minimum and maximum number of sentences of about 15 tokens; a text fits one window.
SENTENCE_SHARES = ((0.5, 1, 1), (0.3, 2, 4), (0.15, 5, 12), (0.05, 13, 28))
# Tokens of a window without its two special tokens, and tokens from one window's start to the next's.
SPECIAL_TOKENS = 2
WINDOW_TOKENS, STRIDE_TOKENS = 510, 446
REPEATED_SHARE = 0.3
WORKLOAD_SEED, REPEAT_SEED, SHORT_SEED = 20261, 5, 11


def make_workload() -> list[str]:
    """WORKLOAD_TEXTS passages of held-out sentences, most of them short, in an order that mixes lengths."""
    rng = random.Random(WORKLOAD_SEED)  # noqa: S311 - no secret
    sentences = heldout_sentences()
    texts = []
    for share, fewest, most in SENTENCE_SHARES:
        for _ in range(round(share * WORKLOAD_TEXTS)):
            texts.append(" ".join(rng.sample(sentences, rng.randint(fewest, most))))
    rng.shuffle(texts)
    # With a long text at the end, one caller would work while the others are idle.
    return texts[:-SORTED_TEXTS] + sorted(texts[-SORTED_TEXTS:], key=len, reverse=True)


def read_workload() -> list[str]:
    """The committed workload."""
    return [json.loads(line)["text"] for line in WORKLOAD_FILE.read_text("utf-8").splitlines()]


def batches(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """The texts in requests of `size`; the last may have fewer."""
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def heldout_sentences() -> list[str]:
    """The held-out sentences of all demonstration models."""
    sentences = [row["text"] for row in read_judgements("heldout")]
    for encoder in ENCODERS.values():
        sentences += read_text(encoder, "heldout")[0]
    return sentences


def short_texts(count: int) -> list[str]:
    """`count` different texts of one sentence."""
    rng = random.Random(SHORT_SEED)  # noqa: S311 - no secret
    sentences = heldout_sentences()
    return [f"{rng.choice(sentences)} {number}" for number in range(count)]


def text_of_tokens(tokens: int, seed: int) -> str:
    """A text of exactly `tokens` tokens: each letter is a word of one token in both vocabularies."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    return " ".join(rng.choices(string.ascii_lowercase, k=tokens))


def text_of_windows(windows: int, seed: int) -> str:
    """A text that fills `windows` windows."""
    return text_of_tokens(WINDOW_TOKENS + (windows - 1) * STRIDE_TOKENS, seed)


def with_repeats(texts: Sequence[str]) -> list[str]:
    """As many texts as in the list; REPEATED_SHARE of them repeat an earlier text."""
    rng = random.Random(REPEAT_SEED)  # noqa: S311 - no secret
    drawn: list[str] = []
    for text in texts:
        drawn.append(rng.choice(drawn) if drawn and rng.random() < REPEATED_SHARE else text)
    return drawn


if __name__ == "__main__":
    lines = [json.dumps({"text": text}) + "\n" for text in make_workload()]
    WORKLOAD_FILE.write_text("".join(lines), "utf-8")
