"""The CPU time of a text besides the encoders' runs."""

import pytest

from perf.load.workload import batches, read_workload
from perf.paths import RESULTS_FOLDER
from perf.samples import read_samples
from perf.speed import overhead
from perf.speed.overhead import AGAINST, HERE, SESSIONS, key, overhead_table, overheads

SESSION_COSTS = {"aegis": 1.0, "rejection": 2.0}
SERVER_COSTS = {"tritonserver": 0.5, "aegis": 1.25, "rejection": 2.25, "client": 9.0}
OTHER_COSTS = {**SERVER_COSTS, "tritonserver": 1.5, "toxicity": 0.5}
SAMPLES = {
    key(SESSIONS, 1): [SESSION_COSTS] * 3,
    key(HERE, 1): [SERVER_COSTS] * 3,
    key(AGAINST, 1): [OTHER_COSTS] * 3,
}


def test_the_overhead_is_what_the_server_takes_beyond_the_sessions() -> None:
    assert overheads(SAMPLES, HERE, 1) == pytest.approx([1.0] * 3)
    assert overheads(SAMPLES, AGAINST, 1) == pytest.approx([2.5] * 3)


def test_the_table_has_every_process_of_either_server_and_the_ratio() -> None:
    table = overhead_table(SAMPLES, 1)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert [row[0] for row in rows if not str(row[0]).startswith(" ")] == [
        *SERVER_COSTS,
        "toxicity",
        "server outside the sessions",
    ]
    assert rows[-1] == ("server outside the sessions", "1.000", "2.500", "0.40")


def test_the_table_of_one_server_has_no_ratio() -> None:
    alone = {name: rounds for name, rounds in SAMPLES.items() if name != key(AGAINST, 1)}
    assert len(overhead_table(alone, 1).columns) == 2


@pytest.mark.parametrize("name", ["overhead", "overhead_int8"])
def test_the_committed_samples_have_a_table_for_each_size_of_request(name: str) -> None:
    samples = read_samples(RESULTS_FOLDER / f"{name}.json")["cpu_ms"]
    for texts in overhead.REQUEST_TEXTS:
        assert len(overhead_table(samples, texts).columns) == 4


def test_requests_hold_every_text_of_the_workload_once() -> None:
    texts = read_workload()
    for size in overhead.REQUEST_TEXTS:
        requests = batches(texts, size)
        assert [text for request in requests for text in request] == texts
        assert {len(request) for request in requests} == {size}
