"""The numbers of records that `tribunal scan` writes again: strict JSON with the literals of the input."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from tribunal.formats.json_values import json_text, parse_json, plain_numbers

from tests.unit.client.fake_client import FakeClient
from tests.unit.client.scan_command import fake_client, scan

LITERALS = ["1e400", "-1E+400", "1.10", "1E5", "0.1000000000000000055", "12345678901234567890", "0.5", "-0.0"]
TOLD = "NaN and infinite numbers of the input are null in the output"


@pytest.fixture
def client() -> Iterator[FakeClient]:
    with fake_client() as client:
        yield client


def strict(text: str) -> Any:
    """The value of a JSON text, by a parser that takes JSON alone."""

    def refuse(literal: str) -> None:
        raise AssertionError(f"{literal} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("literal", LITERALS)
def test_a_number_keeps_its_literal(literal: str) -> None:
    text = f'{{"a": [{literal}, "x"], "b": {{"c": {literal}}}}}'
    assert json_text(parse_json(text)) == text
    told: list[bool] = []
    json_text(parse_json(text), on_null=lambda: told.append(True))
    assert not told
    assert plain_numbers(parse_json(text)) == json.loads(text) == parse_json(text, exact=False)


def test_what_is_no_number_in_json_becomes_null() -> None:
    told: list[bool] = []
    text = '{"a": [NaN, 1.50], "b": {"c": -Infinity}, "text": "NaN"}'
    written = json_text(parse_json(text), on_null=lambda: told.append(True))
    assert written == '{"a": [null, 1.50], "b": {"c": null}, "text": "NaN"}'
    floats = {"a": (math.nan, 1.5), "b": {"c": -math.inf}, "d": b"x"}
    assert json_text(floats, lambda: told.append(True)) == '{"a": [null, 1.5], "b": {"c": null}, "d": "x"}'
    assert told
    deep = '{"a":' * 200 + "NaN" + "}" * 200
    assert strict(json_text(parse_json(deep)))


@pytest.mark.parametrize("name", ["in.jsonl", "in.json"])
def test_an_output_is_json(
    client: FakeClient, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = '{"text": "refuse", "n": [1e400, 1.10, NaN], "i": Infinity}'
    (tmp_path / name).write_text(f"[{line}, {line}]" if name == "in.json" else f"{line}\n{line}\n", "utf-8")
    output = tmp_path / "out.jsonl"
    assert scan(tmp_path / name, "-o", output) == 3
    for record in output.read_text("utf-8").splitlines():
        strict(record)
        assert record.startswith('{"text": "refuse", "n": [1e400, 1.10, null], "i": null, "verdict"')
    assert " ".join(capsys.readouterr().err.split()).count(TOLD) == 1
    assert scan(tmp_path / name, "-o", output, "--retry-failed") == 3
    assert '"n": [1e400, 1.10, null]' in output.read_text("utf-8")
    assert TOLD not in capsys.readouterr().err


def test_an_interrupted_scan_knows_its_last_record_by_its_literals(
    client: FakeClient, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "a", "n": [1e400, 1.10, NaN]}\n{"text": "b"}\n', "utf-8")
    assert scan(source, "-o", output) == 0
    whole, state = output.read_bytes(), tmp_path / "out.jsonl.scan.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "stage": "scanning"}), "utf-8")
    output.unlink()
    (tmp_path / "out.jsonl.part").write_bytes(whole[: whole.index(b"\n") + 1])
    assert scan(source, "-o", output) == 0
    assert output.read_bytes() == whole


def test_a_table_has_the_literals_in_its_cells(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        '{"text": "a", "n": 1e400, "m": 1.10, "l": [1.0E1], "x": NaN}', "utf-8"
    )
    assert scan(tmp_path / "in.jsonl", "-o", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text("utf-8").splitlines()[1].startswith("a,1e400,1.10,[1.0E1],,")


def test_parquet_has_numbers(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        '{"text": "a", "n": 1.10, "l": [1.50], "mixed": 1.10}\n'
        '{"text": "b", "n": 2, "l": [], "mixed": "a"}\n',
        "utf-8",
    )
    assert scan(tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet") == 0
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.schema.field("n").type == pyarrow.float64()
    assert table["n"].to_pylist() == [1.1, 2.0]
    assert table["l"].to_pylist() == [[1.5], []]
    assert table["mixed"].to_pylist() == ["1.10", '"a"']


def test_the_numbers_of_parquet_become_json(
    client: FakeClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, columns = (
        tmp_path / "in.parquet",
        {"text": ["a", "b"], "n": [math.nan, 0.5], "l": [[math.inf], []]},
    )
    pyarrow.parquet.write_table(pyarrow.table(columns), source)
    assert scan(source, "-o", tmp_path / "out.jsonl") == 0
    first, second = map(strict, (tmp_path / "out.jsonl").read_text("utf-8").splitlines())
    assert (first["n"], first["l"], second["n"]) == (None, [None], 0.5)
    assert TOLD in " ".join(capsys.readouterr().err.split())
    assert scan(source, "-o", tmp_path / "out.parquet") == 0
    written = pyarrow.parquet.read_table(tmp_path / "out.parquet")["n"].to_pylist()
    assert math.isnan(written[0])
    assert TOLD not in capsys.readouterr().err


def test_bytes_of_a_lone_surrogate_fail_their_record_alone(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "\xed\xa0\x80"}\n{"text": "a"}\n')
    assert scan(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl") == 3
    first, second = map(strict, (tmp_path / "out.jsonl").read_text("utf-8").splitlines())
    assert first["error"].startswith("NoText: line 1 is not a JSON object")
    assert second["error"] is None


def test_a_lone_surrogate_in_a_document_fails_its_record_alone(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('[{"text": "\\ud800"}, {"text": "a"}]', "utf-8")
    assert scan(tmp_path / "in.json", "-o", tmp_path / "out.jsonl") == 3
    first, second = map(strict, (tmp_path / "out.jsonl").read_text("utf-8").splitlines())
    assert first["error"].startswith("NoText: entry 1 is not Unicode")
    assert second["error"] is None
