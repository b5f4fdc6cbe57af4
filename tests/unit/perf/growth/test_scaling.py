"""Throughput by length, batch, callers and instances, and its share of the processor's limit."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from perf.growth.scaling_loads import BASE, VALUES, ScalingLoad, loads
from perf.growth.scaling_report import limit_texts_per_s, scaling_table, varied
from perf.paths import RESULTS_FOLDER
from perf.samples import read_samples
from perf.serving.exports import PRECISIONS


def sample(load: ScalingLoad, texts_per_s: float) -> dict[str, Any]:
    fastest = {"texts_per_s": texts_per_s, "cpu_ms": 50.0, "p50_ms": 90.0}
    disturbed = {"texts_per_s": texts_per_s / 3, "cpu_ms": 60.0, "p50_ms": 270.0}
    rounds = [disturbed, fastest, disturbed]
    return {"precision": "fp32", "load": asdict(load), "gflop": 10.0, "rounds": rounds}


DOCUMENT: dict[str, Any] = {
    "hardware": {"cores": 4},
    "core_gflop_per_s": {"fp32": [90.0, 100.0, 200.0]},
    "base": asdict(BASE),
    "samples": [
        sample(BASE, 20.0),
        sample(replace(BASE, callers=1), 10.0),
        sample(replace(BASE, tokens=34), 30.0),
        sample(replace(BASE, request_texts=16), 25.0),
    ],
}


def test_the_limit_is_the_throughput_of_all_cores_over_the_operations_of_a_text() -> None:
    assert limit_texts_per_s(DOCUMENT, DOCUMENT["samples"][0]) == 40.0


def test_a_table_has_the_fastest_round_of_each_load_in_which_one_quantity_varies() -> None:
    table = scaling_table(DOCUMENT, "fp32", "callers")
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert rows == [
        ("1", "10.0", "40.0", "0.25", "50.0", "90"),
        (str(BASE.callers), "20.0", "40.0", "0.50", "50.0", "90"),
    ]
    assert [found["load"]["tokens"] for found in varied(DOCUMENT, "fp32", "tokens")] == [34]


def test_one_quantity_changes_at_a_time_and_no_load_repeats() -> None:
    base = asdict(BASE)
    for load in loads():
        assert sum(base[name] != value for name, value in asdict(load).items()) <= 1
    values = sum(len(of_quantity) for of_quantity in VALUES.values())
    # `request_texts`, `callers` and `instances` each have the value of BASE.
    assert len(loads()) == len(set(loads())) == values - 2


@pytest.mark.parametrize("load", loads())
def test_every_caller_has_a_request(load: ScalingLoad) -> None:
    assert len(load.texts(seed=1)) >= load.callers * load.request_texts


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", VALUES)
def test_the_committed_samples_have_a_row_for_each_value(precision: str, name: str) -> None:
    table = scaling_table(read_samples(RESULTS_FOLDER / "scaling.json"), precision, name)
    assert table.row_count >= 3
