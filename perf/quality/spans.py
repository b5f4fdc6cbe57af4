"""`python -m perf spans`: detection of harm hidden in harmless text or odd characters, and its cost.

Harmful held-out sentences, which the demonstration server flags alone, are hidden in 50, 200 and 800 words of
harmless held-out sentences, which it does not flag alone, and behind tricks of Unicode and spacing. The share
of flagged texts is measured without spans, with spans, and with the tokenizer's normalization. A second part
sends texts of ten sentences to full-size encoders of random weights with and without spans, in turns.
"""

import contextlib
import random
import re
import shutil
import statistics
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from export_scripts.demo.text import read_judgements, read_text
from export_scripts.hub_models import ENCODERS
from perf.paths import DEMO_REPOSITORY
from perf.samples import write_samples
from perf.serving.exports import export_encoders, full_size_repository
from perf.serving.servers import warm_client

HIDDEN_IN_WORDS = (50, 200, 800)
HARMLESS_TEXTS = 100
SENTENCES, TIMED_TEXTS = 10, 20
SEED = 15
CONFUSABLES = str.maketrans("aceopxyiAEOPCTH", "асеорхуіАЕОРСТН")
LEET = str.maketrans("aeiost", "431057")
Flagged = Callable[[Sequence[str]], list[bool]]
ROUNDS = 5
console = Console()


def _spread(text: str, separator: str) -> str:
    return "  ".join(separator.join(word) for word in text.split())


def _mathematical(text: str) -> str:
    bold_a, bold_capital_a = 0x1D41A, 0x1D400
    return "".join(
        chr(ord(letter) - ord("a") + bold_a)
        if "a" <= letter <= "z"
        else chr(ord(letter) - ord("A") + bold_capital_a)
        if "A" <= letter <= "Z"
        else letter
        for letter in text
    )


def _fullwidth(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def _swapped(text: str) -> str:
    """Swap the second and the third letter of each word of four letters or more."""
    return re.sub(r"\b(\w)(\w)(\w)(?=\w)", r"\1\3\2", text)


TRICKS: Mapping[str, Callable[[str], str]] = {
    "none": str,
    "fullwidth letters": _fullwidth,
    "mathematical letters": _mathematical,
    "Cyrillic letters": lambda text: text.translate(CONFUSABLES),
    "letters apart": lambda text: _spread(text, " "),
    "letters with dots": lambda text: _spread(text, "."),
    "zero-width spaces": lambda text: "\u200b".join(text),
    "accents": lambda text: unicodedata.normalize("NFC", re.sub(r"([aeiou])", "\\1\u0301", text)),
    "strokes": lambda text: re.sub(r"(\w)", "\\1\u0336", text),
    "digits for letters": lambda text: text.translate(LEET),
    "swapped letters": _swapped,
}


def sentences() -> tuple[list[str], list[str]]:
    """Held-out sentences of the category model and the judge: harmful ones and harmless ones."""
    texts, targets = read_text(ENCODERS["aegis"], "heldout")
    harmful = [text for text, labels in zip(texts, targets, strict=True) if labels.any()]
    harmless = [text for text, labels in zip(texts, targets, strict=True) if not labels.any()]
    harmless += [row["text"] for row in read_judgements("heldout") if row["label"] == "non-toxic"]
    return harmful, list(dict.fromkeys(harmless))


def passage(harmless: Sequence[str], words: int, rng: random.Random, *hidden: str) -> str:
    """Harmless sentences with at least `words` words in all, and `hidden` between two of them."""
    chosen: list[str] = []
    while sum(len(sentence.split()) for sentence in chosen) < words:
        chosen.append(rng.choice(harmless))
    for sentence in hidden:
        chosen.insert(rng.randint(0, len(chosen)), sentence)
    return " ".join(chosen)


def flagged_by(client: Client, *, spans: bool) -> Flagged:
    """For each text, whether the server's encoders flag it for a category."""
    return lambda texts: [
        bool(verdict.categories.flagged)
        for verdict in client.moderate_batch(texts, judge="never", spans=spans)
    ]


@contextlib.contextmanager
def demo_client(*, normalization: str) -> Iterator[Client]:
    """A client of a server of the demonstration encoders with this setting of the tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        shutil.copytree(DEMO_REPOSITORY, repository)
        config = repository / "tokenizer" / "config.pbtxt"
        off = 'key: "normalization" value { string_value: "off" }'
        config.write_text(config.read_text("utf-8").replace(off, off.replace('"off"', f'"{normalization}"')))
        with warm_client(repository, f"spans_{normalization}") as client:
            yield client


@dataclass(frozen=True)
class Corpus:
    """Held-out sentences.

    harmful: flagged alone. harmless: all harmless ones. quiet: harmless and not flagged alone.
    """

    harmful: Sequence[str]
    harmless: Sequence[str]
    quiet: Sequence[str]

    @classmethod
    def by(cls, flagged: Flagged) -> "Corpus":
        """Classify each held-out sentence alone by `flagged`."""
        harmful, harmless = sentences()

        def only(texts: Sequence[str], wanted: bool) -> list[str]:
            return [
                text for text, is_flagged in zip(texts, flagged(texts), strict=True) if is_flagged == wanted
            ]

        return cls(only(harmful, True), harmless, only(harmless, False))


def texts_of(corpus: Corpus) -> dict[str, list[str]]:
    """The texts by the way in which harm is hidden."""
    rng = random.Random(SEED)  # noqa: S311 - no secret
    texts = {f"alone, {trick}": [hide(text) for text in corpus.harmful] for trick, hide in TRICKS.items()}
    for words in HIDDEN_IN_WORDS:
        texts[f"in {words} words"] = [passage(corpus.quiet, words, rng, text) for text in corpus.harmful]
    texts["harmless sentences"] = list(corpus.harmless)
    for words in HIDDEN_IN_WORDS:
        for kind, around in (("harmless", corpus.harmless), ("quiet", corpus.quiet)):
            texts[f"{words} {kind} words"] = [passage(around, words, rng) for _ in range(HARMLESS_TEXTS)]
    return texts


def time_spans(rounds: int) -> dict[str, list[float]]:
    """Seconds that each round of texts of ten sentences takes, with and without spans, in turns."""
    export_encoders()
    rng = random.Random(SEED)  # noqa: S311 - no secret
    harmful, harmless = sentences()
    texts = [" ".join(rng.sample(harmful + harmless, SENTENCES)) for _ in range(TIMED_TEXTS)]
    taken_s: dict[str, list[float]] = {"without": [], "with": []}
    with warm_client(full_size_repository("fp32"), "spans") as client:
        for _ in track(range(rounds), "timing", console=console):
            for name, of_name in taken_s.items():
                started_s = time.perf_counter()
                for text in texts:
                    client.moderate(text, judge="never", spans=name == "with")
                of_name.append(time.perf_counter() - started_s)
    return taken_s


def main(rounds: int, output: Path) -> None:
    """Measure detection and cost, print both and write the samples."""
    with demo_client(normalization="off") as plain, demo_client(normalization="on") as normalizing:
        flagged = {
            "as it is": flagged_by(plain, spans=False),
            "spans": flagged_by(plain, spans=True),
            "normalization": flagged_by(normalizing, spans=False),
            "both": flagged_by(normalizing, spans=True),
        }
        corpus = Corpus.by(flagged["as it is"])
        shares = {
            name: {way: statistics.mean(ask(texts)) for way, ask in flagged.items()}
            for name, texts in track(texts_of(corpus).items(), "counting", console=console)
        }
    table = Table(f"share that is flagged of {len(corpus.harmful)} harmful sentences", *flagged)
    for name, by_way in shares.items():
        table.add_row(name, *(f"{share:.2f}" for share in by_way.values()))
    console.print(table)
    taken_s = time_spans(rounds)
    ratio = statistics.median(
        with_ / without for with_, without in zip(taken_s["with"], taken_s["without"], strict=True)
    )
    console.print(f"time with spans to without, texts of {SENTENCES} sentences: {ratio:.2f}")
    write_samples(output, {"harmful": len(corpus.harmful), "shares": shares, "taken_s": taken_s})
