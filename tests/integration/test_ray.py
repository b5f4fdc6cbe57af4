"""Ray Data gives the same rows as `scan`, even if actors and servers are killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow
import pyarrow.parquet
import pytest
import requests
from tribunal import InvalidInput, ServerUnavailable
from tribunal.ray import Moderate

from export_scripts.demo.text import read_judgements
from launcher.exposure.ports import Ports, free_ports
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from perf.serving.launched_server import LaunchedServer
from tests.clients.run import environment

TEXTS = [row["text"] for row in read_judgements("heldout")]
TOO_LONG = "a " * 40_000
ROWS_ON_THE_CLUSTER = 12_000
TEXTS_BEFORE_THE_KILL = 1000
POLL_INTERVAL_S = 0.05
NOBODY = "127.0.0.1:1"


def table_of(rows: int) -> pyarrow.Table:
    """Texts, some of which get an error."""
    texts: list[str | None] = [TEXTS[number % len(TEXTS)] for number in range(rows)]
    texts[10], texts[20], texts[30] = None, TOO_LONG, ""
    return pyarrow.table({"id": range(rows), "text": texts, "tags": [["a", None]] * rows})


def scan(url: str, source: Path, output: Path, *options: str) -> pyarrow.Table:
    command = [sys.executable, "-m", "tribunal", "scan", str(source), "-o", str(output), "--judge", "never"]
    ran = subprocess.run(
        [*command, *options, "--url", url], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 3, ran.stderr
    return pyarrow.parquet.read_table(output)


@pytest.fixture(scope="module")
def scanned(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> pyarrow.Table:
    """Output of `scan` for 100 rows."""
    folder = tmp_path_factory.mktemp("ray")
    pyarrow.parquet.write_table(table_of(100), folder / "in.parquet")
    return scan(server.grpc_url, folder / "in.parquet", folder / "out.parquet")


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_a_batch_gets_the_columns_of_scan(
    server: TritonServer, scanned: pyarrow.Table, protocol: str
) -> None:
    moderated = Moderate(getattr(server, protocol), judge="never")(table_of(100))
    assert moderated.schema == scanned.schema
    assert moderated.to_pylist() == scanned.to_pylist()
    errors = {row["id"]: row["error"] for row in moderated.to_pylist() if row["error"]}
    assert errors[10] == "NoText: field 'text' is null, not a string"
    assert "65536" in errors[20]
    assert {10, 20} <= set(errors) <= {10, 20, 30}


def test_spans_are_those_of_scan(server: TritonServer, tmp_path: Path) -> None:
    rows = table_of(100)
    pyarrow.parquet.write_table(rows, tmp_path / "in.parquet")
    expected = scan(server.grpc_url, tmp_path / "in.parquet", tmp_path / "out.parquet", "--spans")
    moderate = Moderate(server.grpc_url, judge="never", spans=True)
    moderated = moderate(rows)
    assert moderated.schema == moderate(rows.slice(10, 1)).schema == expected.schema
    assert moderated.to_pylist() == expected.to_pylist()
    assert any(row["verdict"]["spans"] for row in moderated.to_pylist() if row["verdict"])


def test_batches_without_a_verdict_have_the_same_schema(server: TritonServer, scanned: pyarrow.Table) -> None:
    moderate = Moderate(server.grpc_url, judge="never")
    rows = table_of(100)
    assert moderate(rows.slice(10, 1)).schema == scanned.schema
    assert moderate(rows.slice(0, 0)).schema == scanned.schema


def test_a_server_that_is_away_leaves_its_rows_to_another(
    server: TritonServer, scanned: pyarrow.Table
) -> None:
    moderate = Moderate([NOBODY, server.grpc_url, server.http_url], judge="never", wait_s=0)
    assert moderate(table_of(100)).to_pylist() == scanned.to_pylist()


def test_rows_wait_no_longer_than_was_asked_for() -> None:
    with pytest.raises(ServerUnavailable):
        Moderate([NOBODY, NOBODY], wait_s=0)(table_of(100))


def test_tables_that_cannot_be_moderated_are_refused(server: TritonServer) -> None:
    with pytest.raises(InvalidInput, match="no column 'body'; it has 'id', 'text', 'tags'"):
        Moderate(server.grpc_url, text_column="body")(table_of(100))
    with pytest.raises(InvalidInput, match="has a column 'error'"):
        Moderate(server.grpc_url)(pyarrow.table({"text": ["a"], "error": ["b"]}))
    with pytest.raises(InvalidInput, match="names no server"):
        Moderate([])


@pytest.fixture
def launched(demo_repository: Path, tmp_path: Path) -> Iterator[LaunchedServer]:
    """A server of the demo encoders that a test can kill and restart."""
    with ExitStack() as stack:
        server = LaunchedServer(demo_repository, free_ports(), tmp_path / "log", "--without-judge")
        server.start()
        stack.callback(server.stop)
        yield server


@pytest.mark.timeout(900)
def test_a_cluster_of_two_nodes_gives_the_rows_of_scan_while_an_actor_and_the_server_are_killed(
    launched: LaunchedServer, tmp_path: Path
) -> None:
    interpreter = environment("ray")
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    pyarrow.parquet.write_table(table_of(ROWS_ON_THE_CLUSTER), source / "all.parquet")
    url = f"127.0.0.1:{launched.ports.grpc}"
    expected = scan(url, source / "all.parquet", tmp_path / "scan.parquet")
    before = texts_answered(launched.ports)

    with subprocess.Popen(
        [interpreter, CHECKOUT / "tests" / "integration" / "ray_cluster.py", source, output],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "client"), "TRIBUNAL_URL": url},
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "ray.log").open("wb"),
        text=True,
    ) as driver:
        wait_for(driver, lambda: texts_answered(launched.ports) > before + TEXTS_BEFORE_THE_KILL)
        actors = moderating(driver.pid)
        assert len({actor.ppid() for actor in actors}) == 2, "the actors are on two nodes"
        actors[0].kill()
        launched.stop(signal.SIGKILL)
        launched.start()
        said, _ = driver.communicate(timeout=600)
    log = (tmp_path / "ray.log").read_text("utf-8", "replace")
    assert driver.returncode == 0, log[-4000:]
    assert re.search(rf"^{ROWS_ON_THE_CLUSTER} rows, ", said, re.MULTILINE)
    assert not actors[0].is_running()
    rows = pyarrow.parquet.read_table(output).sort_by("id")
    assert rows.to_pylist() == expected.to_pylist()


def wait_for(driver: "subprocess.Popen[str]", is_reached: Any) -> None:
    while not is_reached():
        assert driver.poll() is None, "the dataset was done too early"
        time.sleep(POLL_INTERVAL_S)


def texts_answered(ports: Ports) -> int:
    """Number of texts with verdicts of the running server."""
    statistics = requests.get(f"http://127.0.0.1:{ports.http}/v2/models/moderation/stats", timeout=20).json()
    return int(statistics["model_stats"][0]["inference_count"])


def moderating(driver: int) -> list[psutil.Process]:
    """The processes of the actors; the parent of each is its node's raylet."""
    found = []
    for process in psutil.Process(driver).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "Moderate" in "".join(process.cmdline()):
                found.append(process)
    return found
