"""Input and output of `tribunal scan`, with a client without a server."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tribunal import InvalidInput, ServerError
from tribunal.commands.cli import app
from tribunal.commands.exit_status import Settings
from tribunal.formats.input import Input
from tribunal.formats.registry import InputFormat
from tribunal.scan.engine import Asker, completed
from tribunal.scan.passes import FIRST_RECORDS
from tribunal.scan.records import Record
from tribunal.scan.summary import MAX_REASONS, OTHER_REASONS, Summary

from tests.unit.client.fake_client import OLD_SERVER, FakeClient, with_spans

TEXTS = ["The bread is fresh.", "How to make a bomb?", "refuse this", "a bomb again"]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """The client that the command uses."""
    fake = FakeClient()
    monkeypatch.setattr("tribunal.commands.scan.Client", fake)
    return fake


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """TEXTS as JSONL."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    return path


def scan(*arguments: str | Path) -> int:
    """Exit status of the command."""
    status = app(["scan", *map(str, arguments)], standalone_mode=False, obj=Settings())
    return int(status or 0)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_each_record_gets_its_verdict_or_its_error(
    client: FakeClient, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan(source, "-o", tmp_path / "out.jsonl") == 3
    records = read(tmp_path / "out.jsonl")
    assert [record["verdict"] and record["verdict"]["flagged"] for record in records] == [
        False,
        True,
        None,
        True,
    ]
    said = capsys.readouterr()
    assert said.out == ""
    assert "weights for demonstration only: aegis, judge" in said.err


def test_spans_are_in_the_verdicts_only_where_they_are_asked_for(
    client: FakeClient, source: Path, tmp_path: Path
) -> None:
    assert scan(source, "-o", tmp_path / "plain.jsonl") == 3
    assert scan(source, "-o", tmp_path / "spans.jsonl", "--spans") == 3
    plain, spans = read(tmp_path / "plain.jsonl"), read(tmp_path / "spans.jsonl")
    assert not any("spans" in record["verdict"] for record in plain if record["verdict"])
    expected = [json.loads(json.dumps(with_spans(text).as_document())) for text in TEXTS]
    assert [record["verdict"] for record in spans] == [*expected[:2], None, expected[3]]
    assert [len(document["spans"]) for document in expected] == [0, 1, 0, 1]
    for record in spans:
        if record["verdict"]:
            del record["verdict"]["spans"]
    assert spans == plain


@pytest.mark.parametrize(("first", "second"), [((), ("--spans",)), (("--spans",), ())])
def test_an_output_with_spans_and_one_without_are_not_mixed(
    client: FakeClient, source: Path, tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    output = tmp_path / "out.jsonl"
    assert scan(source, "-o", output, *first) == 3
    for options in ((), ("--retry-failed",)):
        with pytest.raises(InvalidInput, match="was started with other options: spans was"):
            scan(source, "-o", output, *second, *options)
    assert scan(source, "-o", output, *first, "--retry-failed") == 3


def test_an_output_of_an_earlier_version_is_one_without_spans(
    client: FakeClient, source: Path, tmp_path: Path
) -> None:
    output, state_file = tmp_path / "out.jsonl", tmp_path / "out.jsonl.scan.json"
    assert scan(source, "-o", output) == 3
    state = json.loads(state_file.read_text("utf-8"))
    del state["plan"]["spans"]
    state_file.write_text(json.dumps(state), "utf-8")
    with pytest.raises(InvalidInput, match="spans was false and is true"):
        scan(source, "-o", output, "--spans", "--retry-failed")
    assert scan(source, "-o", output, "--retry-failed") == 3


@pytest.mark.parametrize("output", ["out.jsonl", "-"])
def test_a_server_without_spans_stops_the_scan_before_it_begins(
    client: FakeClient, source: Path, tmp_path: Path, output: str
) -> None:
    client.knows_spans = False
    with pytest.raises(ServerError, match=OLD_SERVER):
        scan(source, "-o", output if output == "-" else tmp_path / output, "--spans")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    assert not any(TEXTS[1] in batch for batch in client.batches)
    assert scan(source, "-o", tmp_path / "out.jsonl") == 3


@pytest.mark.parametrize("kind", ["same name", "symlink", "hard link"])
@pytest.mark.parametrize("written", ["out.jsonl", "out.jsonl.part", "out.jsonl.scan.json", "out.jsonl.tmp"])
def test_an_input_that_would_be_written_is_refused_and_stays(
    client: FakeClient, source: Path, tmp_path: Path, kind: str, written: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    content = source.read_bytes()
    target = folder / written
    if kind == "same name":
        target.write_bytes(content)
        source = target
    elif kind == "symlink":
        target.symlink_to(source)
    else:
        target.hardlink_to(source)
    with pytest.raises(InvalidInput, match="are the same: give another --output"):
        scan(source, "-o", folder / "out.jsonl", "--format", "jsonl", "--overwrite")
    assert source.read_bytes() == target.read_bytes() == content
    assert list(folder.iterdir()) == [target]


def test_standard_input_that_would_be_written_is_refused_and_stays(
    client: FakeClient, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = source.read_bytes()
    with source.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(InvalidInput, match="are the same: give another --output"):
            scan("-", "--format", "jsonl", "-o", source, "--overwrite")
    assert source.read_bytes() == content


def test_a_retry_needs_no_input(client: FakeClient, source: Path, tmp_path: Path) -> None:
    assert scan(source, "-o", tmp_path / "out.jsonl") == 3
    source.unlink()
    client.batches.clear()
    assert scan(source, "-o", tmp_path / "out.jsonl", "--retry-failed") == 3
    assert client.batches == [["refuse this"]]


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("in.csv", "id,body\n1,a\n", "'id', 'body'"),
        ("in.jsonl", '{"id": 1}\nno JSON\n{"body": "a"}\n', "'id', 'body'"),
        ("in.jsonl", '{"id": 1}\n' * FIRST_RECORDS + '{"text": "too late"}\n', "'id'"),
        ("in.json", '[{"body": "a"}]', "'body'"),
    ],
)
@pytest.mark.parametrize("output", ["out.jsonl", "out.csv", "-"])
def test_a_field_that_is_not_there_stops_the_scan_before_it_begins(
    client: FakeClient, tmp_path: Path, name: str, content: str, fields: str, output: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(InvalidInput, match=f"has no field 'text'; it has {fields}: name one with --text"):
        scan(tmp_path / name, "-o", output if output == "-" else tmp_path / output)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert client.batches == []


def test_a_field_that_some_of_the_first_records_lack_fails_these_alone(
    client: FakeClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": 1}\n' * (FIRST_RECORDS - 1) + '{"text": "a"}\n', "utf-8")
    assert scan(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl") == 3
    assert sum(record["verdict"] is not None for record in read(tmp_path / "out.jsonl")) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert f"NoText: has no field 'text', it has 'id' │ {FIRST_RECORDS - 1}" in shown


@pytest.mark.parametrize(("format_", "first"), [("csv", "id,body\n"), ("jsonl", "")])
def test_a_field_that_a_pipe_lacks_stops_the_scan(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch, format_: str, first: str
) -> None:
    read_end, write_end = os.pipe()
    row = "1,a\n" if format_ == "csv" else '{"id": 1, "body": "a"}\n'
    os.write(write_end, (first + row * FIRST_RECORDS).encode())
    # The pipe stays open, because the scan must not wait for its end.
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(InvalidInput, match="- has no field 'text'; it has 'id', 'body'"):
            scan("-", "--format", format_, "-o", "-")
    os.close(write_end)


def test_reasons_of_failures_are_summed_up(
    client: FakeClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[Any] = [*({"text": f"refuse {number}"} for number in range(7)), {"text": None}, {"text": "a"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert scan(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "--batch-size", "1") == 3
    lines = [line.split("│") for line in capsys.readouterr().err.splitlines() if "│" in line]
    counts = {name.strip(): int(count) for name, count in lines if "/s" not in name}
    assert counts["failed"] == 8
    assert counts["InvalidInput: text[0] has 70000 bytes; the limit is 65536"] == 7
    assert counts["NoText: field 'text' is null, not a string"] == 1


def test_a_summary_keeps_its_reasons_and_no_more_than_a_few() -> None:
    summary = Summary()
    for number in range(2 * MAX_REASONS):
        summary.add(None, f"Error {number}: {'x' * number}")
    assert len(summary.reasons) == MAX_REASONS + 1
    assert summary.reasons[OTHER_REASONS] == MAX_REASONS
    restored = Summary.from_dict(json.loads(json.dumps(summary.to_dict())))
    assert restored == summary
    restored.add(None, "Error 999: x")
    assert restored.reasons["Error 1: x"] == 2
    assert Summary.from_dict({"records": 3, "failed": 3, "categories": {}, "judge": {}}).failed == 3


def asker(client: FakeClient) -> Asker:
    # It has the methods that the scan calls.
    stand_in: Any = client
    return Asker(stand_in, None, True, wait_s=0.0)


def test_a_batch_is_given_before_the_next_one_arrives() -> None:
    delivered = threading.Event()

    def records() -> Iterator[Record]:
        yield from (Record({}, text=text) for text in TEXTS[:2])
        assert delivered.wait(10), "the first batch was not given"
        yield Record({}, text=TEXTS[3])

    batches = completed(records(), asker(FakeClient()), concurrency=1, batch_size=2)
    first = next(batches)
    delivered.set()
    (last,) = batches
    assert [record.verdict and record.verdict["flagged"] for record in first + last] == [False, True, True]


def test_rows_before_the_damage_of_an_input_come_first() -> None:
    def records() -> Iterator[Record]:
        yield Record({}, text=TEXTS[0])
        raise InvalidInput("broken")

    batches = completed(records(), asker(FakeClient()), concurrency=1, batch_size=1)
    assert len(next(batches)) == 1
    with pytest.raises(InvalidInput, match="broken"):
        next(batches)


@pytest.mark.parametrize("lines", [b"", b'{"text": "a"}\n' * 3])
def test_a_scan_that_ends_early_does_not_wait_for_its_pipe(
    monkeypatch: pytest.MonkeyPatch, lines: bytes
) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, lines)
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with Input("-", InputFormat.parse("jsonl")) as opened:
            records = (Record(row.fields, text=row.fields["text"]) for row in opened.rows())
            batches = completed(
                records, asker(FakeClient()), concurrency=1, batch_size=2, stop_reading=opened.stop
            )
            if lines:
                assert len(next(batches)) == 2
            else:
                threading.Timer(0.1, opened.stop).start()
                assert list(batches) == []
            batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "scan-reader"]
    os.close(write_end)
