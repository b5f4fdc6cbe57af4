"""Reading rows: valid rows, unreadable rows, and unreadable files."""

from pathlib import Path

import pytest
from tribunal import InvalidInput
from tribunal.formats.delimited import read_delimited
from tribunal.formats.field import FieldName
from tribunal.formats.format import Row, UnreadableFile
from tribunal.formats.input import Input
from tribunal.formats.jsonl import read_jsonl
from tribunal.formats.lines import read_lines
from tribunal.formats.registry import FORMATS, InputFormat
from tribunal.scan.journal import identity
from tribunal.scan.records import to_record


def lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("name", "format_name", "compression"),
    [
        ("a.jsonl", "jsonl", None),
        ("jsonl", "jsonl", None),
        ("my.data.CSV.GZ", "csv", "gz"),
        ("a.b.tsv.zst", "tsv", "zst"),
        ("lines.xz", "lines", "xz"),
        ("a.txt", "lines", None),
        ("a.json", "json", None),
        ("a.parquet", "parquet", None),
    ],
)
def test_the_name_says_the_format(name: str, format_name: str, compression: str | None) -> None:
    parsed = InputFormat.parse(name)
    assert (parsed.format.name, parsed.compression) == (format_name, compression)


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz", "", "-", "gz"])
def test_an_ambiguous_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="give --format"):
        InputFormat.parse(name)
    with pytest.raises(InvalidInput, match="decompress the file"):
        InputFormat.parse("a.parquet.gz")


def test_each_line_is_a_text_even_an_empty_one() -> None:
    rows = list(read_lines(lines(b"one\r\n\n\xff\nlast")))
    assert [row.fields for row in rows] == [
        {"text": "one"},
        {"text": ""},
        {"line": "\\xff"},
        {"text": "last"},
    ]
    assert [bool(row.problem) for row in rows] == [False, False, True, False]


def test_jsonl_keeps_what_it_read() -> None:
    rows = list(read_jsonl(lines(b'{"a": 12345678901234567890, "b": "\\u00e9\xc3\xa9"}\n \n[1]\n{"a"')))
    assert rows[0] == Row({"a": 12345678901234567890, "b": "éé"})
    assert [row.problem and row.problem[:26] for row in rows[1:]] == [
        "line 3 is not a JSON objec",
        "line 4 is not a JSON objec",
    ]
    deep = b"[" * 100_000
    (nested,) = read_jsonl([b'{"a":' + deep])
    assert nested.problem is not None


def test_csv_keeps_cells_with_line_ends_and_names_rows_that_do_not_fit() -> None:
    content = b'id,text\n1,"two\nlines, ""quoted"""\n\n2\n3,b,c\n4,\xff\n5,last'
    rows = list(read_delimited(iter(lines(content)), ","))
    assert rows[0].fields == {"id": "1", "text": 'two\nlines, "quoted"'}
    assert [row.problem for row in rows[1:4]] == [
        "the row that ends in line 5 has 1 cells and the header 2",
        "the row that ends in line 6 has 3 cells and the header 2",
        "the row that ends in line 7 is not UTF-8",
    ]
    assert [row.fields for row in rows[1:]] == [
        {"line": "2"},
        {"line": "3,b,c"},
        {"line": "4,\\xff"},
        {"id": "5", "text": "last"},
    ]


@pytest.mark.parametrize("header", [b"a,a\n1,2", b"a,\n1,2", b'"a\n1,2'])
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(UnreadableFile, match="must name each column once"):
        list(read_delimited(iter(lines(header)), ","))
    (tmp_path / "a.csv").write_bytes(header)
    with (
        Input(str(tmp_path / "a.csv"), InputFormat.parse("csv")) as opened,
        pytest.raises(InvalidInput, match=r"cannot read .*a\.csv: the first line must name each column once"),
    ):
        list(opened.rows())


def test_json_is_a_list_or_lines_and_names_entries_that_are_no_objects(tmp_path: Path) -> None:
    for content in (b'\xef\xbb\xbf[{"text": "a"}, 7, {"text": null}]', b'{"text": "a"}\n7\n{"text": null}'):
        (tmp_path / "a.json").write_bytes(content)
        with Input(str(tmp_path / "a.json"), InputFormat.parse("json")) as opened:
            rows = list(opened.rows())
        assert [row.fields for row in rows] == [{"text": "a"}, {"line": "7"}, {"text": None}]
        assert [bool(row.problem) for row in rows] == [False, True, False]


def test_json_that_ends_too_soon_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"text": "a"},')
    with (
        Input(str(tmp_path / "a.json"), InputFormat.parse("json")) as opened,
        pytest.raises(InvalidInput, match=r"cannot read .*a\.json: it is not JSON"),
    ):
        list(opened.rows())


def test_every_format_has_a_name_and_suffixes_of_its_own() -> None:
    suffixes = [suffix for format_ in FORMATS for suffix in format_.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(InputFormat.parse(format_.name).format is format_ for format_ in FORMATS)


def test_a_quote_that_is_never_closed_loses_no_other_row() -> None:
    rows = list(read_delimited(iter(lines(b'text\nfirst\n"open\nnext')), ","))
    assert rows[0] == Row({"text": "first"})
    assert rows[1].problem is not None
    assert rows[1].fields == {"line": '"open\nnext'}


def test_an_input_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*nowhere"):
        Input(str(tmp_path / "nowhere"), InputFormat.parse("jsonl"))
    with pytest.raises(InvalidInput, match=r"cannot read .*nowhere"):
        identity(str(tmp_path / "nowhere"))
    (tmp_path / "a.gz").write_bytes(b"no gzip")
    for name in ("jsonl.gz", "jsonl.bz2", "jsonl.xz", "jsonl.zst", "parquet"):
        input_format = InputFormat.parse(name)
        with (
            Input(str(tmp_path / "a.gz"), input_format) as opened,
            pytest.raises(InvalidInput, match="cannot read"),
        ):
            list(opened.rows())


def test_the_identity_sees_a_change_at_either_end(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a" * 3_000_000)
    first = identity(str(file))
    file.write_bytes(b"a" * 2_999_999 + b"b")
    last_changed = identity(str(file))
    file.write_bytes(b"a" * 3_000_001)
    assert first != last_changed != identity(str(file)) != first
    assert identity("-") is None


def test_a_row_whose_fields_would_be_lost_is_refused() -> None:
    for name in ("verdict", "error", "verdict.flagged"):
        with pytest.raises(InvalidInput, match=f"field '{name}', which the output uses"):
            to_record(Row({"text": "a", name: 1}), FieldName("text"))
