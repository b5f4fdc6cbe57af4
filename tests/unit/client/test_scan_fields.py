"""`tribunal scan` of texts inside of objects and lists, in columns of bytes, and of what is no text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from tribunal import InvalidInput
from tribunal.formats.field import FieldName, Missing, NoSuchField
from tribunal.scan.passes import FIRST_RECORDS

from tests.unit.client.fake_client import FakeClient, verdict_on
from tests.unit.client.scan_command import fake_client, only, read, scan

TOO_LONG = "InvalidInput: text[0] has 7000{} bytes; the limit is 65536"


@pytest.fixture
def client() -> Iterator[FakeClient]:
    with fake_client() as client:
        yield client


def write(path: Path, records: list[Any]) -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def flags(record: dict[str, Any]) -> list[bool | None]:
    return [verdict and verdict["flagged"] for verdict in record["verdict"]]


def records_of(output: Path) -> list[dict[str, Any]]:
    if output.suffix == ".parquet":
        return list(pyarrow.parquet.read_table(output).to_pylist())
    return read(output)


@pytest.mark.parametrize(
    ("name", "fields", "values"),
    [
        ("text", {"text": "a"}, ["a"]),
        ("m.text", {"m": {"text": "a"}}, ["a"]),
        ("m.text", {"m.text": "exact", "m": {"text": "a"}}, ["exact"]),
        ("m[].c", {"m": [{"c": "a"}, {"d": 1}, None, {"c": 2}]}, ["a", Missing, Missing, 2]),
        ("tags[]", {"tags": ["a", "b"]}, ["a", "b"]),
        ("a.b[].c[].d", {"a": {"b": [{"c": [{"d": 1}, {"d": 2}]}, {"c": [{"d": 3}]}]}}, [1, 2, 3]),
        ("a[][]", {"a": [[1, 2], [3]]}, [1, 2, 3]),
        ("tags[]", {"tags": []}, []),
    ],
)
def test_a_name_leads_into_objects_and_lists(name: str, fields: dict[str, Any], values: list[Any]) -> None:
    found = FieldName(name).values(fields)
    assert [Missing if isinstance(value, Missing) else value for value in found] == values


@pytest.mark.parametrize(
    ("name", "fields", "problem"),
    [
        ("text", {"a": 1, "b": 2}, "has no field 'text', it has 'a', 'b'"),
        ("m.text", {"m": {"body": "a"}}, "has no field 'm.text', it has 'body'"),
        ("m.text", {"m": None}, "field 'm' is null, not an object"),
        ("m.text", {"m": "a"}, "field 'm' is str, not an object"),
        ("m[].text", {"m": {"text": "a"}}, "field 'm' is dict, not a list"),
        ("m[].text", {}, "has no field 'm', it has "),
        ("", {"a": 1}, "has no field '', it has 'a'"),
    ],
)
def test_a_record_without_the_field_says_what_it_has(name: str, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(NoSuchField) as error:
        FieldName(name).values(fields)
    assert str(error.value) == problem


NESTED = [
    {"id": 1, "message": {"text": "fine", "by": "A"}},
    {"id": 2, "message": {"text": "refuse a bomb", "by": "B"}},
    {"id": 3, "message": {"text": None, "by": "C"}},
]


@pytest.mark.parametrize("source", ["in.jsonl", "in.parquet"])
@pytest.mark.parametrize("output", ["out.jsonl", "out.csv", "out.parquet"])
def test_a_text_in_an_object(client: FakeClient, tmp_path: Path, source: str, output: str) -> None:
    path = tmp_path / output
    options = ("--text-field", "message.text")
    assert scan(write(tmp_path / source, NESTED), "-o", path, *options) == 3
    assert client.batches == [["fine", "refuse a bomb"]]
    before = path.read_bytes()
    client.batches.clear()
    assert scan(tmp_path / source, "-o", path, *options, "--retry-failed") == 3
    assert client.batches == [["refuse a bomb"]]
    if output == "out.jsonl":
        assert [record["error"] for record in read(path)] == [
            None,
            TOO_LONG.format(0),
            "NoText: field 'message.text' is null, not a string",
        ]
        assert [record["message"] for record in read(path)] == [record["message"] for record in NESTED]
    if output == "out.csv":
        # The refused text is now the first of its request, as it was not before.
        assert path.read_bytes() == before.replace(b"70001 bytes", b"70000 bytes")


def test_a_column_of_a_table_may_have_a_dotted_name(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a.b,c[]\nfine,a bomb\n", "utf-8")
    for field, flagged in (("a.b", False), ("c[]", True)):
        output = tmp_path / f"{field}.jsonl"
        assert scan(tmp_path / "in.csv", "-o", output, "--text-field", field) == 0
        assert only(output)["verdict"]["flagged"] is flagged
        assert scan(tmp_path / "in.csv", "-o", output.with_suffix(".csv"), "--text-field", field) == 0
    table = pyarrow.table({"a.b": ["fine", "a bomb"]})
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    assert scan(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", "--text-field", "a.b") == 0
    verdicts = pyarrow.parquet.read_table(tmp_path / "out.parquet")["verdict"].to_pylist()
    assert [verdict["flagged"] for verdict in verdicts] == [False, True]


CHATS = [
    {"id": 1, "messages": [{"content": "fine"}, {"content": "a bomb"}, {"content": None}]},
    {"id": 2, "messages": []},
    {"id": 3, "messages": [{"content": "refuse"}, {"content": "good"}]},
    {"id": 4, "messages": None},
]
ITEMS = ("--text-field", "messages[].content")
NULL_CONTENT = "NoText: field 'messages[].content' is null, not a string"


@pytest.mark.parametrize("source", ["in.jsonl", "in.parquet"])
@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
def test_each_item_of_a_list_has_a_verdict(
    client: FakeClient, tmp_path: Path, source: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / output
    assert scan(write(tmp_path / source, CHATS), "-o", path, *ITEMS) == 3
    first, empty, partial, none = records_of(path)
    assert flags(first) == [False, True, None]
    expected = json.loads(json.dumps(verdict_on("a bomb").as_document()))
    assert first["verdict"][1] == expected
    assert first["error"] == [None, None, NULL_CONTENT]
    assert (empty["verdict"], empty["error"]) == ([], None)
    assert flags(partial) == [None, False]
    assert partial["error"] == [TOO_LONG.format(2), None]
    assert (none["verdict"], none["error"]) == (None, ["NoText: field 'messages' is null, not a list"])
    summary = json.loads(path.with_name(f"{output}.scan.json").read_text("utf-8"))["summary"]
    counts = {name: summary[name] for name in ("records", "texts", "failed", "flagged")}
    assert counts == {"records": 4, "texts": 6, "failed": 3, "flagged": 1}
    assert "texts" in capsys.readouterr().err

    client.batches.clear()
    assert scan(tmp_path / source, "-o", path, *ITEMS, "--retry-failed") == 3
    assert client.batches == [["refuse"]]
    again = records_of(path)
    assert again[2]["error"] == [TOO_LONG.format(0), None]
    again[2]["error"] = partial["error"]
    assert again == [first, empty, partial, none]


def test_a_list_of_verdicts_has_no_place_in_a_table(client: FakeClient, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", CHATS)
    for name in ("out.csv", "out.tsv"):
        with pytest.raises(
            InvalidInput, match=r"gives a list of verdicts.*give a \.jsonl or \.parquet output"
        ):
            scan(source, "-o", tmp_path / name, *ITEMS)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize("chats", [[CHATS[1]], [CHATS[1], {"id": 4, "messages": [{"content": "refuse"}]}]])
def test_lists_without_any_verdict_are_written(
    client: FakeClient, tmp_path: Path, chats: list[dict[str, Any]]
) -> None:
    source, path = write(tmp_path / "in.jsonl", chats), tmp_path / "out.parquet"
    assert scan(source, "-o", path, *ITEMS) == (3 if len(chats) > 1 else 0)
    assert [record["verdict"] for record in records_of(path)] == [[], [None]][: len(chats)]
    assert scan(source, "-o", path, *ITEMS, "--retry-failed") == (3 if len(chats) > 1 else 0)


def test_a_list_that_parquet_holds_as_json_is_retried(client: FakeClient, tmp_path: Path) -> None:
    mixed = {"messages": [{"content": "refuse"}, {"content": ["part"]}, {"content": "fine"}]}
    source, path = write(tmp_path / "in.jsonl", [mixed]), tmp_path / "out.parquet"
    assert scan(source, "-o", path, *ITEMS) == 3
    assert isinstance(records_of(path)[0]["messages"], str)
    client.batches.clear()
    assert scan(source, "-o", path, *ITEMS, "--retry-failed") == 3
    assert client.batches == [["refuse"]]
    (record,) = records_of(path)
    assert flags(record) == [None, None, False]
    assert record["error"][1] == "NoText: field 'messages[].content' is list, not a string"


def test_a_line_that_is_no_record_keeps_its_error(client: FakeClient, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(CHATS[0]) + "\n{no JSON\n", "utf-8")
    assert scan(source, "-o", output, *ITEMS) == 3
    before = read(output)
    assert before[1]["error"][0].startswith("NoText: line 2 is not a JSON object")
    assert scan(source, "-o", output, *ITEMS, "--retry-failed") == 3
    assert read(output) == before


def test_a_scan_of_lists_goes_on_after_an_interruption(client: FakeClient, tmp_path: Path) -> None:
    source, output = write(tmp_path / "in.jsonl", CHATS * 3), tmp_path / "out.jsonl"
    assert scan(source, "-o", output, *ITEMS, "--batch-size", "1") == 3
    whole, state = output.read_bytes(), (tmp_path / "out.jsonl.scan.json")
    summary = json.loads(state.read_text("utf-8"))["summary"]
    begun = {**json.loads(state.read_text("utf-8")), "stage": "scanning"}
    for kept in range(1, len(whole), 997):
        output.unlink()
        (tmp_path / "out.jsonl.part").write_bytes(whole[:kept])
        state.write_text(json.dumps(begun), "utf-8")
        assert scan(source, "-o", output, *ITEMS, "--batch-size", "1") == 3
        assert output.read_bytes() == whole
        assert json.loads(state.read_text("utf-8"))["summary"] == summary


def test_requests_have_no_more_texts_than_they_may(client: FakeClient, tmp_path: Path) -> None:
    records = [{"t": [f"text {number}" for number in range(count)]} for count in (3, 0, 11, 1, 1)]
    output = tmp_path / "out.jsonl"
    source = write(tmp_path / "in.jsonl", records)
    assert scan(source, "-o", output, "--text-field", "t[]", "--batch-size", "4") == 0
    assert max(map(len, client.batches)) == 4
    assert sum(map(len, client.batches)) == 16
    assert [len(record["verdict"]) for record in read(output)] == [3, 0, 11, 1, 1]


@pytest.mark.parametrize("type_", [pyarrow.binary(), pyarrow.large_binary(), pyarrow.binary(4)])
@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
def test_a_column_of_bytes_is_read_as_text(
    client: FakeClient, tmp_path: Path, type_: pyarrow.DataType, output: str
) -> None:
    texts = [b"bomb", "né.".encode(), b"\xff\xfe\xfd\xfc", None]
    source, path = tmp_path / "in.parquet", tmp_path / output
    pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array(texts, type_)}), source)
    assert scan(source, "-o", path) == 3
    assert client.batches == [["bomb", "né."]]
    assert [record["error"] for record in records_of(path)] == [
        None,
        None,
        "NoText: field 'text' is bytes that are not UTF-8",
        "NoText: field 'text' is null, not a string",
    ]
    if output == "out.parquet":
        assert pyarrow.parquet.read_table(path).select(["text"]).equals(pyarrow.parquet.read_table(source))


def test_bytes_in_objects_and_lists_are_read_as_text(client: FakeClient, tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", [{"m": [{"c": b"bomb"}, {"c": "né".encode()}]}])
    assert scan(source, "-o", tmp_path / "out.jsonl", "--text-field", "m[].c") == 0
    assert flags(only(tmp_path / "out.jsonl")) == [True, False]


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ("id", "field 'id' is int64, not a string"),
        ("m", "field 'm' is struct<n: int64, t: string>, not a string"),
        ("m.n", "field 'm.n' is int64, not a string"),
        ("l[]", "field 'l[]' is int64, not a string"),
        ("m.x", "it has no field 'm.x'; its column 'm' is struct<n: int64, t: string>"),
        ("m[]", "it has no field 'm[]'"),
    ],
)
@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet", "-"])
def test_a_column_of_another_type_stops_the_scan_before_it_begins(
    client: FakeClient, tmp_path: Path, field: str, problem: str, output: str
) -> None:
    # The first value of a column need not show its type.
    rows = [
        {"id": None, "m": None, "l": None},
        {"id": 1, "m": {"n": 1, "t": "a"}, "l": [1]},
    ]
    source = write(tmp_path / "in.parquet", rows)
    with pytest.raises(InvalidInput) as error:
        scan(source, "-o", output if output == "-" else tmp_path / output, "--text-field", field)
    assert problem in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
    assert client.batches == []


@pytest.mark.parametrize(
    ("record", "field", "problem"),
    [
        ({"id": 1, "text": "a"}, "id", "field 'id' is int, not a string"),
        ({"id": 1.50, "text": "a"}, "id", "field 'id' is float, not a string"),
        ({"m": {"body": "a"}}, "m.text", "has no field 'm.text', it has 'body'"),
        ({"m": [{"text": 1}]}, "m[].text", r"field 'm\[\].text' is int, not a string"),
        ({"m": {"text": "a"}}, "m[].text", "field 'm' is dict, not a list"),
    ],
)
@pytest.mark.parametrize("number", [1, FIRST_RECORDS + 1])
def test_a_field_that_is_no_text_in_all_first_records_stops_the_scan(
    client: FakeClient, tmp_path: Path, record: dict[str, Any], field: str, problem: str, number: int
) -> None:
    source = write(tmp_path / "in.jsonl", [record] * number)
    with pytest.raises(InvalidInput, match=f"{problem}: name a field of texts with --text-field"):
        scan(source, "-o", tmp_path / "out.jsonl", "--text-field", field)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_field_that_is_text_in_one_of_the_first_records_is_scanned(
    client: FakeClient, tmp_path: Path
) -> None:
    source = write(tmp_path / "in.jsonl", [{"text": 1}] * (FIRST_RECORDS - 1) + [{"text": "a"}])
    assert scan(source, "-o", tmp_path / "out.jsonl") == 3
    assert sum(record["verdict"] is not None for record in read(tmp_path / "out.jsonl")) == 1
    nulls = write(tmp_path / "nulls.jsonl", [{"text": None}] * FIRST_RECORDS)
    assert scan(nulls, "-o", tmp_path / "out2.jsonl") == 3


@pytest.mark.parametrize("name", ["verdict", "error"])
def test_a_column_of_the_outputs_name_is_not_overwritten(
    client: FakeClient, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    source = tmp_path / "in.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["fine"], name: ["mine"]}), source)
    with pytest.raises(InvalidInput, match=f"the input has a field '{name}', which the output uses"):
        scan(source, "-o", tmp_path / "out.parquet", "--text-field", "text")
    assert not (tmp_path / "out.parquet").exists()
