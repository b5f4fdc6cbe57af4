"""`tribunal scan` of text files in other encodings and with other delimiters."""

import codecs
import gzip
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tribunal import InvalidInput
from tribunal.formats.encoding import as_utf8, foreign_encoding
from tribunal.formats.input import Input
from tribunal.formats.registry import InputFormat

from tests.unit.client.fake_client import FakeClient
from tests.unit.client.scan_command import fake_client, read, scan

TEXTS = ["Où est la bombe?", "a bomb, à 3 €;", "déjà"]
RECORDS = [{"id": number, "text": text} for number, text in enumerate(TEXTS)]
FILES = {
    "in.jsonl": "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS),
    "in.json": json.dumps(RECORDS, ensure_ascii=False),
    "in.csv": "id,text\r\n" + "".join(f'{number},"{text}"\r\n' for number, text in enumerate(TEXTS)),
    "in.tsv": "id\ttext\n" + "".join(f"{number}\t{text}\n" for number, text in enumerate(TEXTS)),
    "in.txt": "\n".join(TEXTS),
}


@pytest.fixture
def client() -> Iterator[FakeClient]:
    with fake_client() as client:
        yield client


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-be", "UTF8", "utf-8-sig", "utf-32"])
@pytest.mark.parametrize("name", FILES)
def test_every_text_format_in_another_encoding(
    client: FakeClient, tmp_path: Path, name: str, encoding: str
) -> None:
    content = FILES[name].encode(encoding)
    (tmp_path / name).write_bytes(content)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    for source in (name, f"{name}.gz"):
        output = tmp_path / f"{source}.out.jsonl"
        assert scan(tmp_path / source, "-o", output, "--encoding", encoding) == 0
        assert [record["text"] for record in read(output)] == TEXTS


def test_a_scan_goes_on_only_in_the_encoding_in_which_it_began(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(FILES["in.txt"].encode("cp1252"))
    output = tmp_path / "out.jsonl"
    assert scan(tmp_path / "in.txt", "-o", output, "--encoding", "cp1252") == 0
    with pytest.raises(InvalidInput, match='encoding was "cp1252" and is "utf-8"'):
        scan(tmp_path / "in.txt", "-o", output)
    # Other names of the same encoding are the same.
    assert scan(tmp_path / "in.txt", "-o", output, "--encoding", "windows-1252") == 0
    assert scan(tmp_path / "in.txt", "-o", output, "--encoding", "cp1252", "--retry-failed") == 0


def test_an_output_of_an_earlier_version_was_utf_8(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(FILES["in.csv"], "utf-8")
    output, state_file = tmp_path / "out.jsonl", tmp_path / "out.jsonl.scan.json"
    assert scan(tmp_path / "in.csv", "-o", output) == 0
    state = json.loads(state_file.read_text("utf-8"))
    del state["plan"]["encoding"], state["plan"]["delimiter"]
    state_file.write_text(json.dumps(state), "utf-8")
    assert scan(tmp_path / "in.csv", "-o", output) == 0
    with pytest.raises(InvalidInput, match='encoding was "utf-8" and is "iso8859-1"'):
        scan(tmp_path / "in.csv", "-o", output, "--encoding", "latin-1")


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "undefined", ""])
def test_an_encoding_that_there_is_not_is_refused(client: FakeClient, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="is no text encoding: give for example latin-1"):
        scan(tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", "--encoding", name)
    with pytest.raises(InvalidInput, match="--encoding is for text formats, and parquet is none"):
        scan(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", "--encoding", "utf-8")


@pytest.mark.parametrize("name", FILES)
def test_bytes_that_the_encoding_lacks_fail_their_record_alone(
    client: FakeClient, tmp_path: Path, name: str
) -> None:
    # A lone surrogate in UTF-16.
    content = FILES[name].encode("utf-16").replace("j".encode("utf-16-le"), b"\x00\xd8")
    (tmp_path / name).write_bytes(content)
    output = tmp_path / "out.jsonl"
    if name == "in.json":
        with pytest.raises(InvalidInput, match="it is not JSON"):
            scan(tmp_path / name, "-o", output, "--encoding", "utf-16")
        return
    assert scan(tmp_path / name, "-o", output, "--encoding", "utf-16") == 3
    records = read(output)
    assert [record.get("text") for record in records] == [*TEXTS[:2], None]
    assert records[2]["error"].startswith("NoText: ")
    assert "is not utf-16" in records[2]["error"].replace(": it", "")


MARKED = [(codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"), (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16")]
UNMARKED = [(b"", "utf-16-le", "utf-16-le"), (b"", "utf-16-be", "utf-16-be"), (b"", "utf-32-le", "utf-32-le")]


@pytest.mark.parametrize(("mark", "encoding", "cure"), [*MARKED, *UNMARKED])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("output", ["out.jsonl", "-"])
def test_utf_16_without_its_name_is_one_error_that_names_it(
    client: FakeClient,
    tmp_path: Path,
    name: str,
    mark: bytes,
    encoding: str,
    cure: str,
    output: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / name
    source.write_bytes(mark + FILES[name].encode(encoding))
    to = output if output == "-" else tmp_path / output
    with pytest.raises(InvalidInput, match=f"it is {cure.upper()}, not UTF-8: give --encoding {cure}$"):
        scan(source, "-o", to)
    assert client.batches == []
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert "\0" not in "".join(capsys.readouterr())
    assert scan(source, "-o", tmp_path / "out.jsonl", "--encoding", cure) == 0
    assert [record["text"] for record in read(tmp_path / "out.jsonl")] == TEXTS


@pytest.mark.parametrize(
    "head", [b"", b"a", b"{", b"a long text with one \0 in it", "ю, 字".encode(), b"\xef\xbb\xbf{"]
)
def test_utf_8_is_not_taken_for_utf_16(head: bytes) -> None:
    assert foreign_encoding(head) is None


def test_a_pipe_in_another_encoding_gives_its_rows_as_they_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, "één\ntw".encode("utf-16"))
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with Input("-", InputFormat.parse("lines").written_in("utf-16", None)) as opened:
            rows = opened.rows()
            # The pipe stays open.
            assert next(rows).fields == {"text": "één"}
            os.write(write_end, "eeë\n".encode("utf-16-le"))
            assert next(rows).fields == {"text": "tweeë"}
    os.close(write_end)


def test_characters_are_whole_wherever_a_read_ends() -> None:
    class Dribble(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return self.read(1 if size else 0)

    text = "".join(TEXTS) + "🎉\n"
    for encoding in ("utf-16", "gb18030", "utf-8-sig"):
        assert as_utf8(Dribble(text.encode(encoding)), encoding).read() == text.encode()


def test_a_header_in_another_encoding_is_named_with_its_cure(client: FakeClient, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes("numéro,text\n1,é\n".encode("latin-1"))
    with pytest.raises(
        InvalidInput, match="the first line is not UTF-8: give --encoding, for example cp1252"
    ):
        scan(tmp_path / "in.csv", "-o", tmp_path / "out.jsonl")
    assert scan(tmp_path / "in.csv", "-o", tmp_path / "out.jsonl", "--encoding", "cp1252") == 0


def test_a_semicolon_is_found_by_itself(client: FakeClient, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    for content in ('id;text\n1;"a; b, c"\n2;d\n', '"id, old";text\n1;"a; b, c"\n2;d\n'):
        (tmp_path / "in.csv").write_text(content, "utf-8")
        assert scan(tmp_path / "in.csv", "-o", output, "--overwrite") == 0
        assert [record["text"] for record in read(output)] == ["a; b, c", "d"]
    for content in ('text\n"a; b"\n', '"text",b;c\na; b,2\n'):
        (tmp_path / "in.csv").write_text(content, "utf-8")
        assert scan(tmp_path / "in.csv", "-o", output, "--overwrite") == 0
        assert [record["text"] for record in read(output)] == ["a; b"]


def test_a_table_with_semicolons_in_its_columns_is_retried(client: FakeClient, tmp_path: Path) -> None:
    record = {"a;x\nb": 1, "text": "refuse"}
    (tmp_path / "in.jsonl").write_text(json.dumps(record), "utf-8")
    assert scan(tmp_path / "in.jsonl", "-o", tmp_path / "out.csv") == 3
    client.batches.clear()
    assert scan(tmp_path / "in.jsonl", "-o", tmp_path / "out.csv", "--retry-failed") == 3
    assert client.batches == [["refuse"]]


@pytest.mark.parametrize(
    ("name", "delimiter", "content"),
    [
        ("in.csv", "|", "id|text\n1|a, b\n"),
        ("in.csv", "\\t", "id\ttext\n1\ta, b\n"),
        ("in.csv", "§", "id§text\n1§a, b\n"),
        ("in.tsv", ";", "id;text\n1;a, b\n"),
        ("in.csv", ",", 'id,"text;"\n1,"a, b"\n'),
    ],
)
def test_a_delimiter_that_is_given(
    client: FakeClient, tmp_path: Path, name: str, delimiter: str, content: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    field = "text;" if "text;" in content and delimiter == "," else "text"
    output = tmp_path / "out.csv"
    options = ("--delimiter", delimiter, "--text-field", field)
    assert scan(tmp_path / name, "-o", output, *options) == 0
    assert client.batches == [["a, b"]]
    assert scan(tmp_path / name, "-o", output, *options, "--retry-failed") == 0


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r"])
def test_a_delimiter_that_can_be_none_is_refused(client: FakeClient, tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(InvalidInput, match="must be one character, no quote or line end"):
        scan(tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--delimiter", delimiter)
    with pytest.raises(InvalidInput, match="--delimiter is for csv and tsv, and not for jsonl"):
        scan(tmp_path / "in.jsonl", "-o", tmp_path / "out.csv", "--delimiter", ";")


@pytest.mark.parametrize("address", ["s3://bucket/in.jsonl", "https://host/in.jsonl", "gs://a/in.csv.gz"])
def test_addresses_are_refused_because_only_local_files_are_read_and_written(
    client: FakeClient, tmp_path: Path, address: str
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}', "utf-8")
    with pytest.raises(InvalidInput, match=f"{address} is no local file, and the command reads only local"):
        scan(address, "-o", tmp_path / "out.jsonl")
    with pytest.raises(InvalidInput, match=f"{address} is no local file, and the command writes only local"):
        scan(tmp_path / "in.jsonl", "-o", address)
    with pytest.raises(InvalidInput, match="give its path without file://"):
        scan(f"file://{tmp_path}/in.jsonl", "-o", "-")


def test_a_local_folder_may_look_like_an_address(
    client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "in.txt").write_text("a", "utf-8")
    assert scan("s3:/in.txt", "-o", "s3:/out.jsonl") == 0
    assert len(read(tmp_path / "s3:" / "out.jsonl")) == 1
