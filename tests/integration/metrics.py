"""Reads a server's Prometheus metrics."""

import time
from collections.abc import Mapping

import requests
from prometheus_client.parser import text_string_to_metric_families

from launcher.process.server import TritonServer

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(server: TritonServer) -> Samples:
    """Every sample, by its name and labels; the parser raises ValueError if the format is broken."""
    answer = requests.get(server.metrics_url, timeout=10)
    answer.raise_for_status()
    return {
        (_exposed_name(sample.name), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def settle(server: TritonServer) -> Samples:
    """Every sample, including all verdicts so far, which the server reports once a second."""
    time.sleep(1.5)
    return scrape(server)


def value(samples: Samples, name: str, **labels: str) -> float:
    """The one sample of this name and exactly these labels; raises KeyError if there is none."""
    return samples[name, frozenset(labels.items())]


def _exposed_name(parsed: str) -> str:
    """Undo the parser's renaming of counters that do not end in `_total`: Triton's, and `tokenizer`'s."""
    return parsed.removesuffix("_total") if parsed.startswith(("nv_", "tribunal_text_")) else parsed
