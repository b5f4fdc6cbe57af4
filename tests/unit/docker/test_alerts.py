"""The configuration of Prometheus and its alert rules."""

import re
import shutil
import subprocess
from collections.abc import Callable

import pytest
import yaml
from tribunal.gateway.protocols.kserve_grpc import STATUS

from tests.promql import ALERTS, alert_queries, alerts, selectors

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: `apt-get install prometheus` as root"
)


def promtool(*arguments: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_what_a_person_needs() -> None:
    assert len({rule["alert"] for rule in alerts()}) == len(alerts()) == 9
    for rule in alerts():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_every_alert_compares_a_metric() -> None:
    for owner, expression in alert_queries():
        assert selectors(expression), owner


@pytest.mark.parametrize(
    ("alert", "belongs"),
    [
        ("TribunalGatewayErrors", lambda status: status >= 500),
        ("TribunalGatewayRefusals", lambda status: status == 429),
    ],
)
def test_the_gateways_alerts_count_a_status_over_http_and_grpc_alike(
    alert: str, belongs: Callable[[int], bool]
) -> None:
    (expression,) = [rule["expr"] for rule in alerts() if rule["alert"] == alert]
    (pattern,) = re.findall(r'status=~"([^"]+)"', expression)
    for status, code in STATUS.items():
        assert bool(re.fullmatch(pattern, str(status))) == belongs(status)
        assert bool(re.fullmatch(pattern, code.name)) == belongs(status)


def test_the_configuration_scrapes_what_compose_runs() -> None:
    config = yaml.safe_load((ALERTS.parent / "prometheus.yml").read_text("utf-8"))
    assert config["rule_files"] == [ALERTS.name]
    targets = {job["job_name"]: job["static_configs"] for job in config["scrape_configs"]}
    assert targets == {
        "tribunal": [{"targets": ["tribunal:8002"]}],
        "tribunal-gateway": [{"targets": ["gateway:8082"]}],
    }
    services = yaml.safe_load((ALERTS.parent.parent / "compose.yaml").read_text("utf-8"))["services"]
    for name in ("server-cpu", "server-gpu"):
        assert services[name]["networks"]["triton"]["aliases"] == ["tribunal"]
    assert "gateway" in services
    assert set(services["prometheus"]["networks"]) == {"default", "triton"}


@needs_promtool
def test_promtool_accepts_the_files() -> None:
    promtool("check", "config", str(ALERTS.parent / "prometheus.yml"))


@needs_promtool
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", str(ALERTS.parent / "alerts_test.yml"))
