"""`python -m perf length_buckets`: simulates how far to pad texts so that they share a batch on a GPU.

Triton's dynamic batcher joins only adjacent requests of equal shape. So padding lengths to a few buckets
makes batches larger, at the cost of the padding: the graph with the loop of `export_scripts.window_loop` only
copies padding, a graph without the loop computes it. Requests of one text arrive at random (Poisson, seeded)
with the lengths of the workload, and wait for one instance. Nothing runs on a GPU: COST is an assumption.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tokenizers import Tokenizer

from launcher.repository.contract import CHECKOUT, limits
from perf.load.workload import read_workload
from perf.samples import write_samples

# The demonstration tokenizer of the larger encoder.
TOKENIZER_FILE = CHECKOUT / "export_scripts" / "demo" / "weights" / "rejection" / "tokenizer.json"
REQUESTS = 20_000
TEXTS_PER_S = (250, 500, 1000, 2000, 4000)
# The limits of RUN_LIMITS["fp16"] in export_scripts/encoders.py, whose import takes 12 s.
MAX_RUN_TOKENS, MAX_RUN_PADDING_TOKENS = 64 * 512, 128
console = Console()


@dataclass(frozen=True)
class Cost:
    """An encoder's time on a GPU: for each run, each computed token, and each copied token."""

    run_ms: float
    computed_token_ms: float
    copied_token_ms: float


# About 100 kernels of 10 us; rejection's 85 MFLOP for a token at 50 TFLOP/s; 16 bytes of ids and mask at 4
# GB/s.
COST = Cost(run_ms=1.0, computed_token_ms=1.7e-3, copied_token_ms=4e-6)


@dataclass(frozen=True)
class Batch:
    """An encoder's work for one batch."""

    runs: int
    computed_tokens: int
    copied_tokens: int

    def duration_ms(self, cost: Cost) -> float:
        """Duration of the batch in ms."""
        return (
            self.runs * cost.run_ms
            + self.computed_tokens * cost.computed_token_ms
            + self.copied_tokens * cost.copied_token_ms
        )


@dataclass(frozen=True)
class Outcome:
    """The result of one simulation.

    texts_per_s: arrival rate. mean_batch_texts: mean size of the batches. padding_share: share of padding in
    the computed tokens. Waiting is the time in the queue; it grows until the end of the simulation if the
    arrival rate exceeds the instance's capacity.
    """

    graph: str
    buckets: str
    texts_per_s: int
    mean_batch_texts: float
    padding_share: float
    mean_waiting_ms: float
    p99_waiting_ms: float


def next_multiple(step: int) -> Callable[[int], int]:
    """A function that rounds a length up to a multiple of `step`."""
    return lambda tokens: -(-tokens // step) * step


BUCKETS: dict[str, Callable[[int], int]] = {
    "every length": next_multiple(1),
    "multiples of 32": next_multiple(32),
    "multiples of 64": next_multiple(64),
    "multiples of 128": next_multiple(128),
    "powers of two": lambda tokens: 1 << (tokens - 1).bit_length(),
    "512 for all": next_multiple(512),
}


def batch_with_loop(tokens: Sequence[int], padded_tokens: int) -> Batch:
    """The work of the graph with the loop for texts that are padded to `padded_tokens`."""
    longest_first = sorted(tokens, reverse=True)
    runs = computed = start = 0
    while start < len(longest_first):
        longest = longest_first[start]
        candidates = longest_first[start : start + max(MAX_RUN_TOKENS // longest, 1)]
        rows = sum(length >= longest - MAX_RUN_PADDING_TOKENS for length in candidates)
        runs, computed, start = runs + 1, computed + rows * longest, start + rows
    return Batch(runs, computed, len(tokens) * padded_tokens)


def batch_without_loop(tokens: Sequence[int], padded_tokens: int) -> Batch:
    """The work of a graph that computes all padding."""
    return Batch(1, len(tokens) * padded_tokens, len(tokens) * padded_tokens)


GRAPHS = {"with the loop": batch_with_loop, "without the loop": batch_without_loop}


def simulate(
    arrivals_ms: Sequence[float],
    tokens: Sequence[int],
    *,
    graph: str,
    buckets: str,
    texts_per_s: int,
    max_batch_texts: int,
    cost: Cost = COST,
) -> Outcome:
    """Let one instance answer texts of `tokens` that arrive at `arrivals_ms`, in order.

    When idle, it takes the first waiting text and those after it, up to the first of another shape.
    """
    padded = [BUCKETS[buckets](length) for length in tokens]
    waiting_ms: list[float] = []
    batch_texts: list[int] = []
    computed = first = 0
    free_ms = 0.0
    while first < len(tokens):
        start_ms = max(free_ms, arrivals_ms[first])
        end = first + 1
        while (
            end < min(len(tokens), first + max_batch_texts)
            and arrivals_ms[end] <= start_ms
            and padded[end] == padded[first]
        ):
            end += 1
        batch = GRAPHS[graph](tokens[first:end], padded[first])
        waiting_ms += [start_ms - arrival_ms for arrival_ms in arrivals_ms[first:end]]
        batch_texts.append(end - first)
        computed += batch.computed_tokens
        free_ms = start_ms + batch.duration_ms(cost)
        first = end
    return Outcome(
        graph,
        buckets,
        texts_per_s,
        statistics.mean(batch_texts),
        1 - sum(tokens) / computed,
        statistics.mean(waiting_ms),
        float(np.percentile(waiting_ms, 99)),
    )


def workload_tokens() -> list[int]:
    """Tokens of each text of the workload."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER_FILE))
    tokenizer.no_padding()
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(read_workload())]


def simulate_all(seed: int, requests: int = REQUESTS) -> list[Outcome]:
    """Every graph and set of buckets at every rate, with the same texts and arrivals for each."""
    rng = np.random.default_rng(seed)
    tokens = rng.choice(workload_tokens(), requests).tolist()
    gaps = rng.exponential(size=requests).cumsum()
    return [
        simulate(
            (gaps * 1000 / texts_per_s).tolist(),
            tokens,
            graph=graph,
            buckets=buckets,
            texts_per_s=texts_per_s,
            max_batch_texts=limits().max_batch_size,
        )
        for graph in GRAPHS
        for texts_per_s in TEXTS_PER_S
        for buckets in BUCKETS
    ]


def outcomes_table(graph: str, rounds: Sequence[Sequence[Outcome]]) -> Table:
    """The medians of the rounds for one graph."""
    headings = ("texts/s", "padded to", "texts/batch", "padding", "waiting ms", "p99 ms")
    table = Table(*headings, title=f"graph {graph}")
    for same in zip(*rounds, strict=True):
        if same[0].graph == graph:
            table.add_row(
                str(same[0].texts_per_s),
                same[0].buckets,
                f"{statistics.median(one.mean_batch_texts for one in same):.1f}",
                f"{statistics.median(one.padding_share for one in same):.0%}",
                f"{statistics.median(one.mean_waiting_ms for one in same):.1f}",
                f"{statistics.median(one.p99_waiting_ms for one in same):.1f}",
            )
    return table


def main(rounds: int, output: Path) -> None:
    """Simulate with one seed a round, print the medians, and write every outcome."""
    outcomes = [simulate_all(seed) for seed in track(range(rounds), "length buckets", console=console)]
    for graph in GRAPHS:
        console.print(outcomes_table(graph, outcomes))
    write_samples(
        output, {"cost": asdict(COST), "rounds": [[asdict(one) for one in round_] for round_ in outcomes]}
    )


if __name__ == "__main__":
    main(rounds=3, output=CHECKOUT / "perf" / "results" / "length_buckets.json")
