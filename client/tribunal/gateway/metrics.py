"""The gateway's metrics for Prometheus. No label contains anything of a text or a key."""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tribunal.gateway.errors import GatewayError
from tribunal.gateway.moderation.decision import Decision

# Up to the default deadline.
WAIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tribunal_gateway_requests",
            "Requests that were answered, by dialect, caller and HTTP status.",
            ["dialect", "caller", "status"],
            registry=self.registry,
        )
        self.durations = Histogram(
            "tribunal_gateway_duration_seconds",
            "Time from the first byte of a request to the last of its answer, by dialect.",
            ["dialect"],
            buckets=DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self.waits = Histogram(
            "tribunal_gateway_wait_seconds",
            "Time that texts waited before they were sent to Triton, by queue.",
            ["queue"],
            buckets=WAIT_BUCKETS_S,
            registry=self.registry,
        )
        self.texts = Counter(
            "tribunal_gateway_texts",
            "Texts by outcome: flagged, passed or invalid.",
            ["outcome"],
            registry=self.registry,
        )

    def count(self, answers: Sequence[Decision | GatewayError]) -> None:
        """Count the outcomes of texts."""
        for answer in answers:
            if isinstance(answer, GatewayError):
                outcome = "invalid"
            else:
                outcome = "flagged" if answer.flagged else "passed"
            self.texts.labels(outcome).inc()

    def watch(self, name: str, description: str, read: Callable[[], Mapping[str, int]]) -> None:
        """Add a gauge that is read at each scrape; `read` gives its value for each queue."""
        self.registry.register(_Gauge(name, description, read))


class _Gauge(Collector):
    def __init__(self, name: str, description: str, read: Callable[[], Mapping[str, int]]) -> None:
        self._name, self._description, self._read = name, description, read

    def collect(self) -> list[GaugeMetricFamily]:
        """The gauge, with a sample for each queue."""
        family = GaugeMetricFamily(self._name, self._description, labels=["queue"])
        for queue, value in self._read().items():
            family.add_metric([queue], value)
        return [family]
