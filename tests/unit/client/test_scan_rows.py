"""Reading rows: what is a row, what is a row that cannot be read, and what is no input at all."""

from pathlib import Path

import pytest
from tribunal import InvalidInput
from tribunal.scan.records import to_record
from tribunal.scan.rows import Format, Input, Row, identity, read_csv, read_jsonl, read_lines


def lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("name", "kind", "compression"),
    [
        ("a.jsonl", "jsonl", None),
        ("jsonl", "jsonl", None),
        ("my.data.CSV.GZ", "csv", "gz"),
        ("a.b.tsv.zst", "tsv", "zst"),
        ("lines.xz", "lines", "xz"),
        ("a.txt", "lines", None),
        ("a.parquet", "parquet", None),
    ],
)
def test_the_name_says_the_format(name: str, kind: str, compression: str | None) -> None:
    assert Format.parse(name) == Format(kind, compression)


@pytest.mark.parametrize("name", ["a.json", "a", "a.gz", "", "-", "gz"])
def test_a_name_that_says_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="give --format"):
        Format.parse(name)
    with pytest.raises(InvalidInput, match="unpack the file"):
        Format.parse("a.parquet.gz")


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
    rows = list(read_csv(iter(lines(content)), ","))
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
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(InvalidInput, match="must name each column once"):
        list(read_csv(iter(lines(header)), ","))


def test_a_quote_that_is_never_closed_loses_no_other_row() -> None:
    rows = list(read_csv(iter(lines(b'text\nfirst\n"open\nnext')), ","))
    assert rows[0] == Row({"text": "first"})
    assert rows[1].problem is not None
    assert rows[1].fields == {"line": '"open\nnext'}


def test_an_input_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*nowhere"):
        Input(str(tmp_path / "nowhere"), Format("jsonl", None))
    with pytest.raises(InvalidInput, match=r"cannot read .*nowhere"):
        identity(str(tmp_path / "nowhere"))
    (tmp_path / "a.gz").write_bytes(b"no gzip")
    for form in (
        Format("jsonl", "gz"),
        Format("jsonl", "xz"),
        Format("jsonl", "zst"),
        Format("parquet", None),
    ):
        with Input(str(tmp_path / "a.gz"), form) as opened, pytest.raises(InvalidInput, match="cannot read"):
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
    with pytest.raises(InvalidInput, match="field 'error', which the output uses"):
        to_record(Row({"text": "a", "error": 1}), "text")
