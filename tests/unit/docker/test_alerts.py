"""The configuration of Prometheus and its alert rules."""

import shutil
import subprocess

import pytest
import yaml

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
    assert len({rule["alert"] for rule in alerts()}) == len(alerts()) == 6
    for rule in alerts():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_every_alert_compares_a_metric() -> None:
    for owner, expression in alert_queries():
        assert selectors(expression), owner


def test_the_configuration_scrapes_the_servers_of_compose() -> None:
    config = yaml.safe_load((ALERTS.parent / "prometheus.yml").read_text("utf-8"))
    assert config["rule_files"] == [ALERTS.name]
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["tribunal:8002"]}]
    services = yaml.safe_load((ALERTS.parent.parent / "compose.yaml").read_text("utf-8"))["services"]
    for name in ("server-cpu", "server-gpu"):
        assert services[name]["networks"]["default"]["aliases"] == ["tribunal"]


@needs_promtool
def test_promtool_accepts_the_files() -> None:
    promtool("check", "config", str(ALERTS.parent / "prometheus.yml"))


@needs_promtool
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", str(ALERTS.parent / "alerts_test.yml"))
