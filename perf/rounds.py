"""Rounds of the workload through one way of screening, and the figures of a run of rounds."""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import requests
from tribunal import Client, TribunalError

from perf.workload import WARMING, read_texts


@dataclass(frozen=True)
class Round:
    """One pass over the workload: how long it took, each text's latency, and how many texts failed."""

    elapsed_s: float
    latencies_ms: list[float]
    failures: int = 0

    @property
    def texts_per_s(self) -> float:
        """Answered texts per second."""
        return len(self.latencies_ms) / self.elapsed_s


@dataclass(frozen=True)
class Figures:
    """Medians over rounds; percentiles over all texts of them."""

    texts_per_s: float
    p50_ms: float
    p99_ms: float
    failures: int

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> "Figures":
        """Figures of the rounds of one contestant at one number of callers."""
        latencies_ms = [latency for one in rounds for latency in one.latencies_ms]
        return cls(
            texts_per_s=statistics.median(one.texts_per_s for one in rounds),
            p50_ms=float(np.percentile(latencies_ms, 50)),
            p99_ms=float(np.percentile(latencies_ms, 99)),
            failures=sum(one.failures for one in rounds),
        )


def call_with(screen: Callable[[str], object], callers: int) -> Round:
    """Screen the workload through a server with so many callers at once."""
    failures = 0

    def timed(text: str) -> float | None:
        nonlocal failures
        started_s = time.perf_counter()
        try:
            screen(text)
        except (TribunalError, requests.RequestException):
            failures += 1
            return None
        return (time.perf_counter() - started_s) * 1000

    started_s = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        latencies_ms = [latency for latency in pool.map(timed, read_texts()) if latency is not None]
    return Round(time.perf_counter() - started_s, latencies_ms, failures)


def warm_up(client: Client) -> None:
    """A few texts through every instance of the encoders."""
    with ThreadPoolExecutor(WARMING) as pool:
        list(pool.map(lambda text: client.moderate(text, judge="never"), 2 * read_texts()[:WARMING]))


def call_tribunal(client: Client, callers: int) -> Round:
    """The workload through `moderation`, without the judge."""
    return call_with(lambda text: client.moderate(text, judge="never"), callers)
