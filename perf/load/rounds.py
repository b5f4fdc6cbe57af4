"""Rounds, which are one or several passes over the workload, and figures of several rounds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

# One caller shows the latency of a text; several show the throughput of a server.
LATENCY_CALLERS = 1
THROUGHPUT_CALLERS = 8
CALLERS_KEY, REQUEST_TEXTS_KEY = " callers=", " texts="


class Load(NamedTuple):
    """Number of concurrent callers, and number of texts in each request."""

    callers: int
    request_texts: int = 1

    def __str__(self) -> str:
        callers = f"{self.callers} callers" if self.callers > 1 else "1 caller"
        return callers if self.request_texts == 1 else f"{callers}, requests of {self.request_texts} texts"


LATENCY_LOAD = Load(LATENCY_CALLERS)
THROUGHPUT_LOAD = Load(THROUGHPUT_CALLERS)
BATCH_LOAD = Load(THROUGHPUT_CALLERS, request_texts=16)
LOADS = (LATENCY_LOAD, THROUGHPUT_LOAD, BATCH_LOAD)


@dataclass(frozen=True)
class Round:
    """One or several passes over the workload: duration, latency of each answered text, failed texts.

    The latency of a text is that of its request.
    """

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
        """Summarise the rounds of one server or baseline under one load."""
        latencies_ms = [latency_ms for round_ in rounds for latency_ms in round_.latencies_ms]
        return cls(
            texts_per_s=statistics.median(round_.texts_per_s for round_ in rounds),
            p50_ms=float(np.percentile(latencies_ms, 50)),
            p99_ms=float(np.percentile(latencies_ms, 99)),
            failures=sum(round_.failures for round_ in rounds),
        )


def sample_key(name: str, callers: int, request_texts: int = 1) -> str:
    """The key of `name` and a load in the samples."""
    key = f"{name}{CALLERS_KEY}{callers}"
    return key if request_texts == 1 else f"{key}{REQUEST_TEXTS_KEY}{request_texts}"


def encode_rounds(samples: Mapping[str, Sequence[Round]]) -> dict[str, list[dict[str, Any]]]:
    """Rounds by key, for JSON."""
    return {key: [asdict(round_) for round_ in rounds] for key, rounds in samples.items()}


def figures_of(samples: Mapping[str, Sequence[Round]]) -> dict[str, Figures]:
    """Figures by key."""
    return {key: Figures.of(rounds) for key, rounds in samples.items()}


def encode_figures(figures: Mapping[str, Figures]) -> dict[str, dict[str, Any]]:
    """Figures by key, for JSON."""
    return {key: asdict(row) for key, row in figures.items()}


def decode_figures(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Figures]:
    """Figures by key, from JSON."""
    return {key: Figures(**row) for key, row in figures.items()}


def figures_at(figures: Mapping[str, Figures], callers: int, request_texts: int = 1) -> dict[str, Figures]:
    """Figures of all servers and baselines under a load, by name."""
    ending = sample_key("", callers, request_texts)
    return {key.removesuffix(ending): row for key, row in figures.items() if key.endswith(ending)}
