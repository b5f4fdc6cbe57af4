"""Grafana's provisioning files."""

import json

import pytest
import yaml

from tests.promql import DASHBOARD, VARIABLES, dashboard_queries, selectors

GRAFANA = DASHBOARD.parent.parent


def test_every_query_is_promql_and_reads_our_metrics_or_tritons() -> None:
    queries = dashboard_queries()
    assert len(queries) > 20
    for owner, expression in queries:
        assert "$" not in expression, owner
        read = selectors(expression)
        assert read, owner
        assert all(selector.metric.startswith(("tribunal_", "nv_")) for selector in read), owner


def test_a_broken_query_is_noticed() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        selectors("sum(rate(tribunal_verdicts_total[1m])")


def test_panels_lie_side_by_side_and_take_the_chosen_source() -> None:
    document = json.loads(DASHBOARD.read_text("utf-8"))
    assert {variable["name"] for variable in document["templating"]["list"]} == {"datasource", "instance"}
    assert set(VARIABLES) == {"$instance", "$__rate_interval"}
    covered: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered, panel["title"]
        covered |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_grafana_finds_the_source_and_the_dashboard() -> None:
    provisioning = GRAFANA / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    prometheus = yaml.safe_load((GRAFANA.parent / "prometheus" / "prometheus.yml").read_text())
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    compose = yaml.safe_load((GRAFANA.parent / "compose.yaml").read_text())["services"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "tribunal.yaml").read_text())["providers"]
    mounts = dict(mount.split(":")[:2] for mount in compose["grafana"]["volumes"])
    folders = {target: (GRAFANA.parent / source).resolve() for source, target in mounts.items()}
    assert folders[provider["options"]["path"]] == DASHBOARD.parent
    assert folders["/etc/grafana/provisioning"] == provisioning
