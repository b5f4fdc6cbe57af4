"""Rounds of the workload through one way of screening, and the figures of a run of rounds."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
from tribunal import Client, TribunalError

from export_scripts.members import CHECKOUT
from perf.workload import read_texts

STOP_TIMEOUT_S = 30.0


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


def call_tribunal(client: Client, callers: int) -> Round:
    """The workload through `moderation`, without the judge."""
    return call_with(lambda text: client.moderate(text, judge="never"), callers)


class Peer:
    """A process of `perf.peers`, idle between its rounds."""

    def __init__(self, peer: str, checkpoints: Path, models: Path) -> None:
        self._peer = peer
        self._process = subprocess.Popen(
            [sys.executable, "-m", "perf.peers", peer, str(checkpoints), str(models)],
            cwd=CHECKOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> "Peer":
        while self._read() != "ready":
            pass
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=STOP_TIMEOUT_S)

    def round(self, callers: int) -> Round:
        """One pass over the workload."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write(f"{callers}\n")
        self._process.stdin.flush()
        return Round(**json.loads(self._read()))

    def _read(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._peer} ended")
        return line.strip()
