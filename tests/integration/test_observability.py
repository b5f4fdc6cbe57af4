"""The dashboard and the alerts with a running server, and with a real Prometheus if it is installed."""

import math
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tribunal import Client, Connection, InvalidInput, ServerUnavailable
from tribunal.gateway.admission.keys import hash_key

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway, running_gateway
from tests.integration.metrics import scrape
from tests.promql import ALERTS, Query, alert_queries, alerts, dashboard_queries, selectors

PROMETHEUS = shutil.which("prometheus")
# Triton exposes these only with a GPU.
GPU_METRICS = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"}
TIMEOUT_S = 30.0
# Callers' keys; the second one's limit is one request an hour.
KEY, LIMITED_KEY = "of alice", "of bob"
KEYS = f"""
[keys.alice]
sha256 = "{hash_key(KEY)}"
[keys.bob]
sha256 = "{hash_key(LIMITED_KEY)}"
rate_limit = "1/hour"
"""


def samples_of(gateway: RunningGateway) -> list[tuple[str, frozenset[tuple[str, str]]]]:
    """Name and labels of every sample that the gateway exposes."""
    text = requests.get(f"{gateway.metrics_url}/metrics", timeout=10).text
    return [
        (sample.name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def with_key(key: str) -> Connection:
    return Connection(headers={"authorization": f"Bearer {key}"}, retries=0)


def test_every_metric_and_label_that_is_asked_for_is_exposed(demo_repository: Path, tmp_path: Path) -> None:
    with (
        TritonServer(
            ServerOptions(
                demo_repository, ports=free_ports(), log_file=tmp_path / "log", judge=False, cache_mib=8
            )
        ) as server,
        running_gateway(server.grpc_url, tmp_path) as gateway,
        Client(gateway.grpc_url) as client,
    ):
        client.moderate("The bread is fresh.", judge="never")
        exposed: dict[str, set[str]] = {}
        for name, labels in [*scrape(server), *samples_of(gateway)]:
            exposed.setdefault(name, set()).update(label for label, _ in labels)
    for owner, expression in [*dashboard_queries(), *alert_queries()]:
        for selector in selectors(expression):
            if selector.metric not in GPU_METRICS | {"up"}:
                assert selector.metric in exposed, owner
                assert selector.labels <= exposed[selector.metric], owner


@pytest.fixture(scope="module")
def gateway(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway in front of the server, for the two callers."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "keys.toml").write_text(KEYS)
    with running_gateway(server.grpc_url, folder, "--keys", str(folder / "keys.toml")) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(
    server: TritonServer, gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a Prometheus that scrapes server and gateway every second, with our configuration."""
    if PROMETHEUS is None:
        pytest.skip("Prometheus is not installed: `apt-get install prometheus` as root")
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((ALERTS.parent / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    addresses = (f"127.0.0.1:{server.ports.metrics}", gateway.metrics_url.removeprefix("http://"))
    for job, address in zip(config["scrape_configs"], addresses, strict=True):
        job["static_configs"] = [{"targets": [address]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    shutil.copy(ALERTS, folder)
    address = f"127.0.0.1:{free_ports().http}"
    command = [
        PROMETHEUS,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        with suppress(requests.ConnectionError):
            if holds():
                return
        time.sleep(0.2)
    pytest.fail(f"{what}: not within {TIMEOUT_S:g} s")


def ask(prometheus: str, path: str, **parameters: str) -> Any:
    answer = requests.get(f"{prometheus}/api/v1/{path}", params=parameters, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def numbers(prometheus: str, expression: str) -> list[float]:
    """The finite samples of an expression now."""
    samples = ask(prometheus, "query", query=expression)["result"]
    values = [float(sample["value"][1]) for sample in samples]
    return [value for value in values if math.isfinite(value)]


def test_prometheus_answers_every_query_after_real_traffic(gateway: RunningGateway, prometheus: str) -> None:
    def scrapes() -> float:
        return min(numbers(prometheus, "count_over_time(up[1m])"), default=0)

    def await_scrapes() -> None:
        seen = scrapes()
        wait_until(lambda: scrapes() >= seen + 3, "scrapes after the traffic")

    def refused(client: Client) -> float:
        with suppress(ServerUnavailable):
            client.moderate("The bread is fresh.", judge="never")
        expression = 'rate(tribunal_gateway_requests_total{status="RESOURCE_EXHAUSTED"}[1m])'
        return sum(numbers(prometheus, expression))

    wait_until(lambda: scrapes() >= 1, "first scrape")
    with Client(gateway.grpc_url, connection=with_key(LIMITED_KEY)) as limited:
        # Repeatedly, because Prometheus sees a counter grow only after its first value.
        wait_until(lambda: refused(limited) > 0, "requests beyond the rate limit")
    with (
        Client(gateway.grpc_url, timeout_s=60, connection=with_key(KEY)) as client,
        ThreadPoolExecutor(8) as callers,
    ):
        texts = ["I could strangle him.", "Sorry, but I can't assist with that.", "The bread is fresh."] * 8
        # Twice, for the same reason.
        for _ in range(2):
            list(callers.map(client.moderate, texts))
            list(callers.map(lambda text: client.moderate(text, judge="never"), texts))
            with pytest.raises(InvalidInput):
                client.moderate("x" * 65537)
            await_scrapes()

    # This server has no GPU and no cache; the test above checks the names of the cache's metrics.
    # No request of this test fails at the gateway; the tests with promtool cover that alert.
    absent = GPU_METRICS | {"nv_cache_num_hits_per_model", "nv_cache_num_misses_per_model"}
    empty: list[Query] = [
        query
        for query in [*dashboard_queries(), *alert_queries()]
        if not {selector.metric for selector in selectors(query.expression)} & absent
        and query.owner != "TribunalGatewayErrors"
        and not numbers(prometheus, query.expression)
    ]
    assert empty == []

    (group,) = ask(prometheus, "rules")["groups"]
    assert {rule["name"] for rule in group["rules"]} == {rule["alert"] for rule in alerts()}
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    states = {rule["name"]: rule["state"] for rule in group["rules"]}
    assert states.pop("TribunalDemoWeights") == "pending"
    # The share depends on the number of scrapes.
    assert states.pop("TribunalGatewayRefusals") in ("inactive", "pending")
    assert set(states.values()) == {"inactive"}
