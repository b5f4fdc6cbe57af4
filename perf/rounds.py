"""A round is one or several passes over the workload; figures summarise several rounds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# One caller shows the latency of a text, several show the throughput of a server.
LATENCY_CALLERS = 1
THROUGHPUT_CALLERS = 8
# Of several callers in one round, so that the cores which idle while the last texts are answered do not
# decide: Tribunal's int8 reached 0.73 of raw ONNX Runtime's in rounds of 80 texts, and 0.80 in those of 480.
THROUGHPUT_PASSES = 6
KEY_SEPARATOR = " callers="


@dataclass(frozen=True)
class Round:
    """One or several passes over the workload: duration, latency of each answered text, failed texts."""

    elapsed_s: float
    latencies_ms: list[float]
    failures: int = 0

    @property
    def texts_per_s(self) -> float:
        """Answered texts per second."""
        return len(self.latencies_ms) / self.elapsed_s


@dataclass(frozen=True)
class Figures:
    """The median throughput of several rounds, and percentiles of the latencies of all their texts."""

    texts_per_s: float
    p50_ms: float
    p99_ms: float
    failures: int

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> "Figures":
        """Summarise the rounds of one way of screening at one number of callers."""
        latencies_ms = [latency_ms for round_ in rounds for latency_ms in round_.latencies_ms]
        return cls(
            texts_per_s=statistics.median(round_.texts_per_s for round_ in rounds),
            p50_ms=float(np.percentile(latencies_ms, 50)),
            p99_ms=float(np.percentile(latencies_ms, 99)),
            failures=sum(round_.failures for round_ in rounds),
        )


def passes_at(callers: int) -> int:
    """How often a round that is compared with others goes through the workload."""
    return 1 if callers == LATENCY_CALLERS else THROUGHPUT_PASSES


def sample_key(name: str, callers: int) -> str:
    """The key under which samples hold the rounds of `name` at a number of callers."""
    return f"{name}{KEY_SEPARATOR}{callers}"


def encode_rounds(samples: Mapping[str, Sequence[Round]]) -> dict[str, list[dict[str, Any]]]:
    """Rounds by key, as JSON holds them."""
    return {key: [asdict(round_) for round_ in rounds] for key, rounds in samples.items()}


def decode_rounds(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Round]]:
    """Rounds by key, from JSON."""
    return {key: [Round(**round_) for round_ in rounds] for key, rounds in samples.items()}


def figures_at(samples: Mapping[str, Sequence[Round]], callers: int) -> dict[str, Figures]:
    """Figures of all that was measured at a number of callers, by name."""
    keys = [key.split(KEY_SEPARATOR) for key in samples]
    return {
        name: Figures.of(samples[sample_key(name, callers)])
        for name, number in keys
        if number == str(callers)
    }
