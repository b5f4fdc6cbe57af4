"""`tribunal scan` with the real server: what it keeps, refuses, retries and resumes."""

import fcntl
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer
from tests.integration.recording_proxy import RecordingProxy, recording_proxy
from tests.integration.scanning import (
    RECORDS,
    SUFFIXES,
    TEXTS,
    as_jsonl,
    flags,
    read_lines,
    read_output,
    scan,
)


@pytest.fixture(scope="module")
def flagged(server: TritonServer) -> list[bool]:
    return flags(server.grpc_url)


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_records_keep_their_fields_and_their_order(
    server: TritonServer, flagged: list[bool], tmp_path: Path, protocol: str
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(as_jsonl(RECORDS))
    ran = scan(getattr(server, protocol), source, "-o", output)
    assert (ran.returncode, ran.stdout) == (0, b"")
    records = read_lines(output)
    assert [{name: record[name] for name in RECORDS[0]} for record in records] == RECORDS
    assert [record["verdict"]["flagged"] for record in records] == flagged
    assert {record["error"] for record in records} == {None}
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl", "out.jsonl.scan.json"}

    summary = json.loads((tmp_path / "out.jsonl.scan.json").read_text("utf-8"))["summary"]
    assert (summary["records"], summary["flagged"], summary["failed"]) == (60, sum(flagged), 0)
    categories = Counter(name for record in records for name in record["verdict"]["categories"]["flagged"])
    assert summary["categories"] == categories
    shown = ran.stderr.decode()
    assert "weights for demonstration only: rejection, aegis, judge" in shown
    for name, count in categories.items():
        assert any(name in line and line.rstrip().endswith(str(count)) for line in shown.splitlines())

    again = scan(getattr(server, protocol), source, "-o", output)
    assert again.returncode == 0
    assert b"is complete" in again.stderr
    source.write_bytes(as_jsonl(RECORDS[1:]))
    other = scan(getattr(server, protocol), source, "-o", output)
    assert other.returncode == 1
    assert b"was started with other options: input was" in other.stderr
    assert read_lines(output) == records
    assert scan(getattr(server, protocol), source, "-o", output, "--overwrite").returncode == 0
    assert read_lines(output) == records[1:]


def test_an_input_is_never_overwritten(server: TritonServer, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(as_jsonl(RECORDS))
    (tmp_path / "link.jsonl").symlink_to(source)
    for output in ("in.jsonl", "link.jsonl"):
        ran = scan(server.grpc_url, source, "-o", tmp_path / output, "--overwrite")
        assert (ran.returncode, ran.stdout) == (1, b"")
        assert b"are the same: give another --output" in ran.stderr
    assert source.read_bytes() == as_jsonl(RECORDS)
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "link.jsonl"}


BAD = [
    (b'{"id": 1, "text": "fine"}', None),
    (b"{not json", "NoText: line 2 is not a JSON object"),
    (b'["a list"]', "NoText: line 3 is not a JSON object: not an object"),
    (b'{"id": 4, "body": "x"}', "NoText: has no field 'text', it has 'id', 'body'"),
    (b'{"id": 5, "text": null}', "NoText: field 'text' is null, not a string"),
    (b'{"id": 6, "text": 17}', "NoText: field 'text' is int, not a string"),
    (b'{"id": 7, "text": "' + b"a" * 70_000 + b'"}', "InvalidInput: "),
    (b'{"id": 8, "text": "lone \\ud800"}', "NoText: line 8 is not a JSON object: 'utf-8' codec"),
    (b'{"id": 9, "text": "\xff"}', "NoText: line 9 is not a JSON object: 'utf-8' codec"),
    (b'{"id": 10, "text": "also fine"}', None),
]


def test_what_fails_is_written_with_its_error_and_counted(server: TritonServer, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"\n\n".join(line for line, _ in BAD))
    # Empty lines count as lines, but not as rows.
    expected = [
        error and error.replace(f"line {row + 1} ", f"line {2 * row + 1} ")
        for row, (_, error) in enumerate(BAD)
    ]
    ran = scan(server.grpc_url, source, "-o", output)
    assert ran.returncode == 3
    assert ran.stderr.decode().split("failed")[1].split()[1].startswith("8")
    records = read_lines(output)
    assert len(records) == len(BAD)
    for record, error in zip(records, expected, strict=True):
        if error is None:
            assert record["error"] is None
            assert record["verdict"]["flagged"] is False
        else:
            assert record["verdict"] is None
            assert record["error"].startswith(error)
    assert records[1]["line"] == "{not json"
    assert "70000 bytes; the limit is 65536" in records[6]["error"]


@pytest.fixture
def proxy(server: TritonServer) -> Iterator[RecordingProxy]:
    """A proxy for the demo server."""
    with recording_proxy(server) as running:
        yield running


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_failed_records_are_asked_again(proxy: RecordingProxy, tmp_path: Path, suffix: str) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / f"out.{suffix}"
    source.write_bytes(as_jsonl(RECORDS))

    proxy.poison = b"would"
    poisoned = [number for number, text in enumerate(TEXTS) if "would" in text]
    assert 0 < len(poisoned) < 30
    failed = scan(proxy.grpc_url, source, "-o", output)
    assert failed.returncode == 3, failed.stderr
    first = read_output(output)
    assert [number for number, record in enumerate(first) if record["error"]] == poisoned
    assert {first[number]["error"] for number in poisoned} == {"ServerError: the proxy was told so"}

    assert scan(proxy.grpc_url, source, "-o", output, "--retry-failed").returncode == 3
    assert read_output(output) == first
    proxy.poison = b""
    before = len(proxy.headers)
    retried = scan(proxy.grpc_url, source, "-o", output, "--retry-failed")
    assert retried.returncode == 0, retried.stderr
    second = read_output(output)
    assert len(proxy.headers) - before < len(RECORDS) / 2
    assert [int(record["id"]) for record in second] == list(range(len(RECORDS)))
    assert not any(record["error"] for record in second)
    for number, record in enumerate(second):
        if number not in poisoned:
            assert record == first[number]


def test_a_server_that_stays_away_stops_the_scan_and_loses_nothing(
    server: TritonServer, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(as_jsonl(RECORDS))
    away = scan(f"127.0.0.1:{free_ports().grpc}", source, "-o", output, "--wait", "1")
    assert away.returncode == 1
    assert b"tribunal: gave up after 1 s: no server answers at" in away.stderr
    assert not output.exists()
    assert scan(server.grpc_url, source, "-o", output).returncode == 0
    assert len(read_lines(output)) == len(RECORDS)


def test_an_interrupted_scan_goes_on_only_as_it_was_begun(server: TritonServer, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(as_jsonl(RECORDS))
    assert scan(server.grpc_url, source, "-o", output).returncode == 0
    whole = output.read_bytes()
    part, state_file = tmp_path / "out.jsonl.part", tmp_path / "out.jsonl.scan.json"
    state = json.loads(state_file.read_text("utf-8"))
    state_file.write_text(json.dumps({**state, "stage": "scanning"}), "utf-8")

    def interrupt(kept_bytes: int) -> None:
        output.unlink(missing_ok=True)
        part.write_bytes(whole[:kept_bytes])

    interrupt(len(whole) // 2)
    other = scan(server.grpc_url, source, "-o", output, "--no-explain")
    assert other.returncode == 1
    assert b"was started with other options: explain was true and is false" in other.stderr
    assert part.read_bytes() == whole[: len(whole) // 2]

    weights = {name: {**model, "source": "hub:a/b"} for name, model in state["plan"]["weights"].items()}
    begun = {**state, "stage": "scanning", "plan": {**state["plan"], "weights": weights}}
    state_file.write_text(json.dumps(begun), "utf-8")
    assert (
        b"was started with other options: weights was" in scan(server.grpc_url, source, "-o", output).stderr
    )

    state_file.write_text(json.dumps({**state, "stage": "scanning"}), "utf-8")
    with part.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert b"another scan is writing" in scan(server.grpc_url, source, "-o", output).stderr

    resumed = scan(server.grpc_url, source, "-o", output)
    assert resumed.returncode == 0
    assert b"going on after" in resumed.stderr
    assert output.read_bytes() == whole


def test_a_file_that_is_not_a_scans_output_is_not_changed(server: TritonServer, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(as_jsonl(RECORDS))
    output.write_text("mine", "utf-8")
    ran = scan(server.grpc_url, source, "-o", output)
    assert ran.returncode == 1
    assert b"exists and is not the output of a scan" in ran.stderr
    assert output.read_text("utf-8") == "mine"
    named = scan(server.grpc_url, source, "-o", tmp_path / "out.xlsx")
    assert b"must end in .jsonl, .ndjson, .csv, .tsv, .parquet, or be -" in named.stderr
    source.write_bytes(as_jsonl([{"text": "a", "verdict": 1}]))
    clash = scan(server.grpc_url, source, "-o", tmp_path / "new.jsonl")
    assert b"the input has a field 'verdict'" in clash.stderr
