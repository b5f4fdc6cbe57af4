"""Labelled texts from files of all formats, and messages about invalid files."""

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from tribunal import InvalidInput
from tribunal.evaluation.labelled_data import LabelledTexts, read_labelled
from tribunal.evaluation.sources import Source
from tribunal.evaluation.target import Target

CATEGORIES = ("Threat", "PII/Privacy", "Sexual (minor)")
TEXTS = ["I can't, sorry.", 'A "quoted", text\nof two lines', "42", "NA"]
LABELS = [1, 0, 0, 1]
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]


def read(path: Path | str, target: Target = Target.rejection, **options: Any) -> LabelledTexts:
    return read_labelled(Source(str(path), **options), target, CATEGORIES)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = datasets.Dataset.from_list(rows)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".csv":
        table.to_csv(path)
    elif path.suffix == ".tsv":
        table.to_csv(path, sep="\t")
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize(
    "name", ["data.jsonl", "data.ndjson", "data.json", "data.csv", "data.tsv", "data.parquet"]
)
def test_every_kind_of_file_gives_the_same_texts(tmp_path: Path, name: str) -> None:
    data = read(write(tmp_path / name, ROWS))
    assert data.texts == TEXTS
    assert data.names == ("REJECTION",)
    assert data.labels[:, 0].astype(int).tolist() == LABELS


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
@pytest.mark.parametrize("name", ["data.jsonl", "data.csv"])
def test_compressed_files(tmp_path: Path, name: str, suffix: str, compress: Any) -> None:
    plain = write(tmp_path / name, ROWS)
    packed = tmp_path / f"packed.v2{plain.suffix}{suffix}"
    packed.write_bytes(compress.compress(plain.read_bytes()))
    assert read(packed).texts == TEXTS


def test_columns_are_found_by_name_or_as_told(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", [{"id": 7, "output": "007", "refused": "yes", "content": "no"}])
    data = read(path, text_field="output", label_field="refused")
    assert (data.texts, data.labels.tolist()) == (["007"], [[True]])
    assert read(path, label_field="refused").texts == ["no"]


@pytest.mark.parametrize(
    ("target", "values", "expected"),
    [
        (Target.rejection, ["REJECTION", "normal", "Refusal"], [1, 0, 1]),
        (Target.rejection, [True, False, True], [1, 0, 1]),
        (Target.rejection, ["1", "0", "True"], [1, 0, 1]),
        (Target.rejection, [1.0, 0.0, 1.0], [1, 0, 1]),
        (Target.toxicity, ["toxic", "non-toxic", "Non-Toxic"], [1, 0, 0]),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_forms_of_a_yes_or_no_label(
    tmp_path: Path, target: Target, values: list[Any], expected: list[int], suffix: str
) -> None:
    path = write(tmp_path / f"data{suffix}", [{"text": "a", "label": value} for value in values])
    assert read(path, target).labels[:, 0].astype(int).tolist() == expected


@pytest.mark.parametrize(
    "values",
    [
        [["Threat", "Sexual (minor)"], [], ["PII/Privacy"]],
        ["Threat, sexual (minor)", "", "PII/Privacy"],
        ["Threat;Sexual (minor)", "Safe", "PII/Privacy"],
        ['["Threat", "Sexual (minor)"]', "[]", '["PII/Privacy"]'],
        [[1, 0, 1], [0, 0, 0], [0, 1, 0]],
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv"])
def test_forms_of_categories(tmp_path: Path, values: list[Any], suffix: str) -> None:
    if suffix == ".csv" and isinstance(values[0], list):
        values = [json.dumps(value) for value in values]
    path = write(tmp_path / f"data{suffix}", [{"text": "a", "labels": value} for value in values])
    data = read(path, Target.aegis)
    assert data.names == CATEGORIES
    assert data.labels.astype(int).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_a_column_for_each_category(tmp_path: Path) -> None:
    row = {"text": "a", "PII/Privacy": 1, "Threat": 0, "Sexual (minor)": 1}
    path = write(tmp_path / "data.csv", [row])
    assert read(path, Target.aegis).labels.astype(int).tolist() == [[0, 1, 1]]
    del row["Threat"]
    with pytest.raises(InvalidInput, match="has no column for Threat"):
        read(write(tmp_path / "less.csv", [row]), Target.aegis)


def test_a_dataset_with_splits_and_named_classes(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["toxic", "non-toxic"])}
    )
    for split, label in (("train", 0), ("test", 1)):
        rows = {"text": [split], "label": [label]}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / f"{split}.parquet")
    with pytest.raises(InvalidInput, match="it has the splits train, test: choose one with --split"):
        read(tmp_path, Target.toxicity)
    for split, toxic in (("train", True), ("test", False)):
        data = read(tmp_path, Target.toxicity, split=split)
        assert (data.texts, data.labels.tolist()) == ([split], [[toxic]])


def test_one_file_with_named_classes(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["toxic", "non-toxic"])}
    )
    rows = {"text": ["a", "b"], "label": [0, 1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "data.parquet")
    assert read(tmp_path / "data.parquet", Target.toxicity).labels.tolist() == [[True], [False]]


def test_a_column_that_the_first_row_lacks_is_a_column(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "a"}\n{"text": "b", "label": 1}\n', "utf-8")
    with pytest.raises(InvalidInput, match=r"row 1 of .*: label is None; it must be one of 1, true"):
        read(tmp_path / "data.jsonl")


def test_a_limit(tmp_path: Path) -> None:
    assert read(write(tmp_path / "data.jsonl", ROWS), limit=2).texts == TEXTS[:2]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"a": "x", "b": 1}], {}, r"no text column \(text, content.*its columns are a, b: .* --text-field"),
        ([{"text": "x", "b": 1}], {}, r"no label column .* its columns are text, b: .* --label-field"),
        ([{"text": "x", "label": 1}], {"text_field": "txt"}, "no 'txt'; its columns are text, label"),
        ([{"text": "x", "label": 1}], {"label_field": "lbl"}, "no 'lbl'; its columns"),
        ([*ROWS, {"text": None, "label": 1}], {}, "row 5 of .*: text is a NoneType, not a text"),
        ([{"text": "x", "label": None}], {}, "row 1 of .*: label is None; it must be one of 1, true"),
        ([{"text": "x", "label": 0.7}], {}, "row 1 of .*: label is 0.7"),
        ([{"text": "x", "label": 2}], {}, "row 1 of .*: label is 2"),
    ],
)
def test_the_message_names_the_error(
    tmp_path: Path, rows: list[dict[str, Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(write(tmp_path / "data.jsonl", rows), **options)


@pytest.mark.parametrize(
    ("value", "message"),
    [(["Rudeness"], "'Rudeness' is no category; they are Threat"), (7, "the labels are 7; give a list")],
)
def test_wrong_categories_are_named(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"row 1 of .*: {message}"):
        read(write(tmp_path / "data.jsonl", [{"text": "x", "labels": value}]), Target.aegis)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, r"cannot read .*missing.jsonl: there is no such file"),
        ("data.xlsx", b"x", r"cannot read .*data.xlsx: its name ends in none of .jsonl"),
        ("broken.jsonl", b'{"text": \n', "cannot read .*broken.jsonl: line 1 is not a JSON object"),
        ("broken.parquet", b"PAR2", "cannot read .*broken.parquet: "),
        ("broken.csv.gz", b"no gzip", "cannot read .*broken.csv.gz: "),
        ("empty.jsonl", b"", "cannot read .*empty.jsonl: it has no rows"),
        ("empty.jsonl.gz", gzip.compress(b"", mtime=0), "cannot read .*empty.jsonl.gz: it has no rows"),
        ("header.csv", b"text,label\n", "cannot read .*header.csv: it has no rows"),
        (
            "latin.csv",
            "text,label\né,1\n".encode("latin-1"),
            "cannot read .*latin.csv: the row that ends in line 2 is not UTF-8",
        ),
    ],
)
def test_a_file_that_cannot_be_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_a_file_has_no_split(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a file has no split, subset or revision"):
        read(write(tmp_path / "data.jsonl", ROWS), split="test")


def test_a_spreadsheet_in_its_own_encoding_and_with_its_own_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    content = "text;label\nDésolé, non;1\n"
    path.write_text(content, "utf-16")
    with pytest.raises(InvalidInput, match="it is UTF-16, not UTF-8: give --encoding utf-16"):
        read(path)
    assert read(path, encoding="utf-16").texts == ["Désolé, non"]
    path.write_text(content.replace(";", "|"), "latin-1")
    assert read(path, encoding="latin-1", delimiter="|").texts == ["Désolé, non"]
    with pytest.raises(InvalidInput, match="--encoding and --delimiter are for a single file"):
        read(tmp_path, encoding="utf-16")


def test_columns_of_bytes_are_read_as_text(tmp_path: Path) -> None:
    columns = {"text": [b"a", "é".encode()], "label": [b"toxic", b"non-toxic"]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "data.parquet")
    data = read(tmp_path / "data.parquet", Target.toxicity)
    assert (data.texts, data.labels[:, 0].tolist()) == (["a", "é"], [True, False])


def test_a_label_is_a_number_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "a", "label": 1.00}\n{"text": "b", "label": 0e0}\n')
    assert read(tmp_path / "data.jsonl").labels[:, 0].tolist() == [True, False]


def test_an_address_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"s3://bucket/data\.csv is no local file"):
        read("s3://bucket/data.csv")
