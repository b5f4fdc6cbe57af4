"""Metrics in PromQL expressions, and the expressions of the project's files."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser
import yaml

from launcher.repository.contract import CHECKOUT

ALERTS = CHECKOUT / "docker" / "prometheus" / "alerts.yml"
DASHBOARD = CHECKOUT / "docker" / "grafana" / "dashboards" / "tribunal.json"
# Values of Grafana's variables.
VARIABLES = {"$instance": ".*", "$__rate_interval": "1m"}


class Query(NamedTuple):
    """One expression and the panel or alert that it belongs to."""

    owner: str
    expression: str


class Selector(NamedTuple):
    """A metric's name, and its labels in a query, without `le` and Prometheus' own."""

    metric: str
    labels: frozenset[str]


def dashboard_queries() -> list[Query]:
    """Every query of the dashboard, with values for its variables."""
    queries = []
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for variable, content in VARIABLES.items():
                expression = expression.replace(variable, content)
            queries.append(Query(panel["title"], expression))
    return queries


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    rules: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]
    return rules


def alert_queries() -> list[Query]:
    """The left-hand side of each alert's comparison."""
    queries = []
    for rule in alerts():
        comparison = promql_parser.parse(rule["expr"])
        assert isinstance(comparison, promql_parser.BinaryExpr), rule["alert"]
        queries.append(Query(rule["alert"], comparison.lhs.prettify()))
    return queries


def selectors(expression: str) -> set[Selector]:
    """Every metric that `expression` reads; raises ValueError if it is not valid PromQL."""
    return {
        Selector(
            node.name,
            frozenset(matcher.name for matcher in node.matchers.matchers) - {"instance", "job", "le"},
        )
        for node in _walk(promql_parser.parse(expression))
        if isinstance(node, promql_parser.VectorSelector) and node.name
    }


def _walk(node: Any) -> Iterator[Any]:
    yield node
    for field in ("lhs", "rhs", "expr", "vector_selector"):
        if (child := getattr(node, field, None)) is not None:
            yield from _walk(child)
    for child in getattr(node, "args", []):
        yield from _walk(child)
