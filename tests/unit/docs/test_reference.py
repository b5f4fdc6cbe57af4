"""The reference documents every metric, every parameter and every field of a policy."""

import re

import pytest
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.moderation.policies import Policy

from launcher.repository.config import read_config
from launcher.repository.contract import CHECKOUT, MODEL_REPOSITORY

REFERENCE = CHECKOUT / "docs" / "reference"
CONFIGURATION, _, POLICIES = (
    (REFERENCE / "configuration.md").read_text("utf-8").partition("## Policies of the gateway")
)
METRICS = (REFERENCE / "metrics.md").read_text("utf-8")
METRIC_NAME = re.compile(r"""["'](tribunal_[a-z_]+|vllm:[a-z_]+)["']""")
# Folders whose Python files report metrics to Prometheus.
REPORTING = ("model_repository", "launcher/backends", "client/tribunal/gateway")


def parameters() -> list[tuple[str, str, str]]:
    """Model, name and value of every parameter in a tracked config."""
    found = []
    for file in sorted(MODEL_REPOSITORY.glob("*/config.pbtxt")):
        config = read_config(file)
        found += [
            (config.name or file.parent.name, name, config.parameters[name].string_value)
            for name in sorted(config.parameters)
        ]
        for accelerator in config.optimization.execution_accelerators.gpu_execution_accelerator:
            found += [(file.parent.name, *parameter) for parameter in sorted(accelerator.parameters.items())]
    return found


def metric_names() -> set[str]:
    """Names of metrics as in Prometheus."""
    names = {
        name
        for folder in REPORTING
        for file in (CHECKOUT / folder).rglob("*.py")
        for name in METRIC_NAME.findall(file.read_text("utf-8"))
    }
    # The gateway's library appends `_total` to the names of counters.
    counters = {family.name for family in Metrics().registry.collect() if family.type == "counter"}
    return {f"{name}_total" if name in counters else name for name in names}


def table_rows(page: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in page.splitlines()
        if line.startswith("|")
    ]


def test_there_is_something_to_compare() -> None:
    assert len(parameters()) > 20
    assert {"tribunal_verdicts_total", "tribunal_gateway_requests_total", "vllm:prompt_tokens_total"} <= (
        metric_names()
    )


@pytest.mark.parametrize(("model", "name", "value"), parameters())
def test_every_parameter_is_explained_with_its_default(model: str, name: str, value: str) -> None:
    (row,) = [row for row in table_rows(CONFIGURATION) if f"`{name}`" in row[0]]
    assert f"`{value}`" in " ".join(row[1:]), f"{model}: {name}"


@pytest.mark.parametrize("name", sorted(metric_names()))
def test_every_metric_is_explained(name: str) -> None:
    assert f"| `{name}` |" in METRICS


def test_no_metric_is_explained_that_does_not_exist() -> None:
    explained = set(re.findall(r"^\| `((?:tribunal_|vllm:)[a-z_]+)`", METRICS, re.MULTILINE))
    assert explained == metric_names()


@pytest.mark.parametrize("name", Policy.model_fields)
def test_every_field_of_a_policy_is_explained(name: str) -> None:
    assert any(f"`{name}`" in row[0] for row in table_rows(POLICIES))
