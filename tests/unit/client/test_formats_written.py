"""Output files of `scan`, for records with and without verdicts."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from tribunal.formats.delimited import CSV, TSV
from tribunal.formats.field import FieldName
from tribunal.formats.format import Format, Records
from tribunal.formats.input import Input
from tribunal.formats.parquet import write_beside, write_parquet
from tribunal.formats.registry import InputFormat
from tribunal.scan.records import Record, filled_outcome, to_record
from tribunal.scan.retry import to_retry

FILLED = filled_outcome(["Threat", "A/B"])


def verdict(score: float) -> dict[str, Any]:
    return {
        "flagged": True,
        "refusal": {"detected": False, "score": score},
        "categories": {"flagged": ["Threat"], "scores": {"Threat": score, "A/B": 0.0}},
        "toxicity": {"status": "skipped", "label": None, "score": None, "reason": None},
        "windows": 1,
        "truncated": False,
    }


def again(records: list[dict[str, Any]]) -> Records:
    """`records` as iterators, like a work file's."""
    return lambda: map(json.loads, map(json.dumps, records))


def test_parquet_of_records_finds_types_over_all_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tribunal.formats.parquet.BLOCK_ROWS", 2)
    records: list[dict[str, Any]] = [
        {"n": None, "mixed": 1, "empty": {}, "verdict": None, "error": "E: x"},
        {"n": 1, "mixed": None, "empty": {}, "verdict": verdict(0.5), "error": None},
        {"n": 2.5, "mixed": "a", "late": [1], "verdict": verdict(0.25), "error": None},
    ]
    write_parquet(again(records), tmp_path / "out.parquet", FILLED)
    written = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [record["n"] for record in written] == [None, 1.0, 2.5]
    assert [record["mixed"] for record in written] == ["1", None, '"a"']
    assert [record["empty"] for record in written] == ["{}", "{}", None]
    assert [record["late"] for record in written] == [None, None, [1]]
    assert [(record["verdict"], record["error"]) for record in written] == [
        (record["verdict"], record["error"]) for record in records
    ]


def test_parquet_of_columns_keeps_their_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tribunal.formats.parquet.BLOCK_ROWS", 2)
    source = pyarrow.table({"text": ["a", "b", "c"], "n": pyarrow.array([1, 2, 3], pyarrow.int8())})
    pyarrow.parquet.write_table(source, tmp_path / "in.parquet")
    records = [{"verdict": verdict(0.5), "error": None}] * 2 + [{"verdict": None, "error": "x"}]
    write_beside(again(records), tmp_path / "out.parquet", FILLED, tmp_path / "in.parquet")
    written = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert written.select(["text", "n"]).equals(source)
    assert written["error"].to_pylist() == [None, None, "x"]
    failed = [{"verdict": None, "error": "x"}] * 3
    write_beside(again(failed), tmp_path / "out.parquet", filled_outcome(()), tmp_path / "in.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["verdict"].to_pylist() == [None] * 3


RECORDS: list[dict[str, Any]] = [
    {
        "id": 1,
        "text": 'é, "quoted"\ttab\r\nsecond line',
        "tags": ["a", None],
        "verdict": verdict(0.1),
        "error": None,
    },
    {"id": 2, "text": "", "note": "true", "verdict": verdict(1e-06), "error": None},
    {"id": None, "text": "again", "verdict": None, "error": "ServerError: told so"},
]


def read_back(path: Path, format_: Format) -> list[dict[str, Any]]:
    with Input(str(path), InputFormat(format_)) as opened:
        return [row.fields for row in opened.rows()]


@pytest.mark.parametrize("format_", [CSV, TSV])
def test_a_table_has_a_column_for_each_value_of_a_verdict(tmp_path: Path, format_: Format) -> None:
    output = tmp_path / f"out.{format_.name}"
    assert format_.write
    format_.write(again(RECORDS), output, FILLED)
    first, second, failed = read_back(output, format_)
    assert list(first) == [
        "id",
        "text",
        "tags",
        "note",
        "verdict.flagged",
        "verdict.refusal.detected",
        "verdict.refusal.score",
        "verdict.categories.flagged",
        "verdict.categories.scores.Threat",
        "verdict.categories.scores.A/B",
        "verdict.toxicity.status",
        "verdict.toxicity.label",
        "verdict.toxicity.score",
        "verdict.toxicity.reason",
        "verdict.windows",
        "verdict.truncated",
        "error",
    ]
    assert list(first.values()) == [
        "1",
        RECORDS[0]["text"],
        '["a", null]',
        "",
        "true",
        "false",
        "0.1",
        '["Threat"]',
        "0.1",
        "0.0",
        "skipped",
        "",
        "",
        "",
        "1",
        "false",
        "",
    ]
    assert (second["note"], second["verdict.refusal.score"]) == ("true", "1e-06")
    assert {name: value for name, value in failed.items() if value} == {
        "text": "again",
        "error": "ServerError: told so",
    }


@pytest.mark.parametrize("format_", [CSV, TSV])
def test_a_table_gives_its_verdicts_back_for_a_retry(tmp_path: Path, format_: Format) -> None:
    first, second = tmp_path / f"1.{format_.name}", tmp_path / f"2.{format_.name}"
    assert format_.write
    for records, filled in ((RECORDS, FILLED), (RECORDS[2:], filled_outcome(()))):
        format_.write(again(records), first, filled)
        with Input(str(first), InputFormat(format_)) as opened:
            retries = [to_retry(row, FieldName("text"), format_.restore) for row in opened.rows()]
        assert [record.verdict for record in retries] == [record["verdict"] for record in records]
        assert [record.texts for record in retries] == [[]] * (len(records) - 1) + [["again"]]
        written = [json.loads(record.line(whole=True)) for record in retries]
        written[-1]["error"] = RECORDS[-1]["error"]
        format_.write(again(written), second, filled)
        assert second.read_bytes() == first.read_bytes()


def with_spans(record: dict[str, Any]) -> dict[str, Any]:
    """`record` with two sentences in its verdict, and then with none."""
    if record["verdict"] is None:
        return record
    parts = {name: record["verdict"][name] for name in ("refusal", "categories")}
    spans = [{"start": 0, "end": 2, **parts}, {"start": 3, "end": 9, **parts}] if record["id"] == 1 else []
    return {**record, "verdict": {**record["verdict"], "spans": spans}}


FILLED_WITH_SPANS = filled_outcome(["Threat", "A/B"], spans=True)
RECORDS_WITH_SPANS = [with_spans(record) for record in RECORDS]


def test_parquet_nests_the_spans(tmp_path: Path) -> None:
    for name, records in (("all", RECORDS_WITH_SPANS), ("none", RECORDS_WITH_SPANS[1:])):
        write_parquet(again(records), tmp_path / f"{name}.parquet", FILLED_WITH_SPANS)
        written = pyarrow.parquet.read_table(tmp_path / f"{name}.parquet")
        assert written["verdict"].to_pylist() == [record["verdict"] for record in records]
        # The type is the same with and without sentences.
        spans = written.schema.field("verdict").type.field("spans").type
        verdict_type = written.schema.field("verdict").type
        assert pyarrow.types.is_list(spans)
        fields = {field.name: field.type for field in spans.value_type}
        assert fields == {
            "start": pyarrow.int64(),
            "end": pyarrow.int64(),
            "refusal": verdict_type.field("refusal").type,
            "categories": verdict_type.field("categories").type,
        }


@pytest.mark.parametrize("format_", [CSV, TSV])
def test_a_table_has_the_spans_as_json(tmp_path: Path, format_: Format) -> None:
    first, second = tmp_path / f"1.{format_.name}", tmp_path / f"2.{format_.name}"
    assert format_.write
    format_.write(again(RECORDS_WITH_SPANS), first, FILLED_WITH_SPANS)
    cells = [row["verdict.spans"] for row in read_back(first, format_)]
    assert json.loads(cells[0]) == RECORDS_WITH_SPANS[0]["verdict"]["spans"]
    assert cells[1:] == ["[]", ""]
    with Input(str(first), InputFormat(format_)) as opened:
        retries = [to_retry(row, FieldName("text"), format_.restore) for row in opened.rows()]
    assert [record.verdict for record in retries] == [record["verdict"] for record in RECORDS_WITH_SPANS]
    written = [json.loads(record.line(whole=True)) for record in retries]
    written[-1]["error"] = RECORDS[-1]["error"]
    format_.write(again(written), second, FILLED_WITH_SPANS)
    assert second.read_bytes() == first.read_bytes()


UNASKED = {
    "in.jsonl": b'{"id": 1}\n{"id": 2, "text": null}\n{"id": 3, "text": 17}\n["list"]\n{',
    "in.json": b'[{"id": 1, "text": ["a"]}, 7]',
    "in.csv": b"id,text\n1\n",
    "in.txt": b"\xff",
}


@pytest.mark.parametrize(("name", "content"), UNASKED.items())
@pytest.mark.parametrize("format_", [CSV, TSV])
def test_a_record_without_a_text_is_not_asked_again_from_a_table(
    tmp_path: Path, format_: Format, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with Input(str(tmp_path / name), InputFormat.parse(name)) as opened:
        records = [to_record(row, FieldName("text")) for row in opened.rows()]
    records.append(Record({"text": "asked"}, error="InvalidInput: text[0] has 70000 bytes"))
    assert format_.write
    work = [json.loads(record.line(whole=True)) for record in records]
    format_.write(again(work), tmp_path / "out", filled_outcome(()))
    with Input(str(tmp_path / "out"), InputFormat(format_)) as opened:
        retries = [to_retry(row, FieldName("text"), format_.restore) for row in opened.rows()]
    assert [record.texts for record in retries] == [[]] * (len(records) - 1) + [["asked"]]
    assert [record.error for record in retries[:-1]] == [record.error for record in records[:-1]]
