"""Reports the statistics of vLLM's engine as metrics of Triton."""

import threading
from collections.abc import Mapping
from typing import Any

import triton_python_backend_utils as pb_utils
from vllm.v1.metrics.loggers import StatLoggerBase

from .engine_metrics import COUNTERS, HISTOGRAMS, Tally, boundaries

# Each change of a metric is a message to Triton, which must not delay tokens.
REPORT_PERIOD_S = 1.0


class StatLogger(StatLoggerBase):  # type: ignore[misc]
    """Passes vLLM's statistics to a tally."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def record(self, _scheduler_stats: Any, iteration_stats: Any, **_: Any) -> None:
        """Take the statistics of one step of the engine."""
        if iteration_stats is not None:
            self._tally.add(iteration_stats)

    def log_engine_initialized(self) -> None:
        """Do nothing; vLLM requires the method."""


class Reporter:
    """Reports a tally in a thread.

    labels: of every metric. max_model_len: maximum tokens of a question and its answer.
    """

    def __init__(self, tally: Tally, labels: Mapping[str, str], max_model_len: int) -> None:
        buckets = boundaries(max_model_len)
        families = pb_utils.MetricFamily
        # A metric needs its family to stay alive.
        self._families = {
            name: families(name=name, description=help_text, kind=kind)
            for kind, texts in ((families.COUNTER, COUNTERS), (families.HISTOGRAM, HISTOGRAMS))
            for name, help_text in texts.items()
        }
        self._counters = {name: self._families[name].Metric(labels=dict(labels)) for name in COUNTERS}
        self._histograms = {
            name: self._families[name].Metric(labels=dict(labels), buckets=buckets[name])
            for name in HISTOGRAMS
        }
        self._tally = tally
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._ending.set()
        self._thread.join()

    def _report(self) -> None:
        while not self._ending.wait(REPORT_PERIOD_S):
            taken = self._tally.take()
            for name, count in taken.increments.items():
                self._counters[name].increment(count)
            for name, values in taken.observations.items():
                for value in values:
                    self._histograms[name].observe(value)
