"""`python -m perf layer`: speed of one layer of the judge on a CPU, and an estimate for all 32 layers.

The layer has Phi-3-mini's full width and random weights. Reading is the prefill of a text's prompt; writing
is the decoding of one token after the other with a KV cache. Embeddings and head are not measured.
"""

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from perf.samples import write_samples

DTYPES = ("float32", "bfloat16")
# The judge's prompt has about 300 tokens, its answer about 50.
READ_TOKENS = 350
WRITTEN_TOKENS = 50
# Phi-3-mini's, from the config.json of microsoft/Phi-3-mini-4k-instruct.
LAYERS = 32
console = Console()


@dataclass(frozen=True)
class Speed:
    """Medians of the rounds, in tokens/s, for one layer."""

    dtype: str
    read_tokens_per_s: float
    written_tokens_per_s: float

    @property
    def judgement_s(self) -> float:
        """Seconds for a text and its reason: one layer's time multiplied by the number of layers."""
        return LAYERS * (READ_TOKENS / self.read_tokens_per_s + WRITTEN_TOKENS / self.written_tokens_per_s)


def main(rounds: int, output: Path) -> None:
    """Measure one layer in each dtype and write the samples."""
    speeds = [measure(name, rounds) for name in DTYPES]
    write_samples(output, {"speeds": [asdict(speed) for speed in speeds], "layers": LAYERS})
    table = Table("dtype", "read, tokens/s", "written, tokens/s", f"a judgement by {LAYERS} layers, s")
    for speed in speeds:
        figures = (speed.read_tokens_per_s, speed.written_tokens_per_s, speed.judgement_s)
        table.add_row(speed.dtype, *(f"{figure:.0f}" for figure in figures))
    console.print(table)


def measure(dtype: str, rounds: int) -> Speed:
    """Read and write with one layer in `dtype`; the first round only warms up."""
    # Imported here, because these imports take seconds and the other commands do not need them.
    import torch
    from transformers import DynamicCache, Phi3Config, Phi3Model

    layer = Phi3Model(Phi3Config(num_hidden_layers=1, vocab_size=64, pad_token_id=0))
    layer = layer.to(getattr(torch, dtype)).eval()

    def elapsed_s(cache: DynamicCache, tokens: int) -> float:
        started_s = time.perf_counter()
        layer(torch.zeros((1, tokens), dtype=torch.long), past_key_values=cache, use_cache=True)
        return time.perf_counter() - started_s

    read, written = [], []
    with torch.no_grad():
        for _ in range(rounds + 1):
            cache = DynamicCache()
            read.append(READ_TOKENS / elapsed_s(cache, READ_TOKENS))
            written.append(WRITTEN_TOKENS / sum(elapsed_s(cache, 1) for _ in range(WRITTEN_TOKENS)))
    return Speed(dtype, statistics.median(read[1:]), statistics.median(written[1:]))
