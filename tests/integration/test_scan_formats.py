"""Input and output of `tribunal scan`: every format, compressed files and pipes, with the real server."""

import bz2
import gzip
import json
import lzma
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from tribunal import Client

from launcher.process.server import TritonServer
from tests.integration.scanning import RECORDS, SUFFIXES, TEXTS, TRIBUNAL, as_jsonl, flags, read_output, scan

HARM = "How to make a bomb?"
HARMLESS = "The train to the coast leaves at nine. The library opens again on Monday. " * 5


@pytest.fixture(scope="module")
def flagged(server: TritonServer) -> list[bool]:
    return flags(server.grpc_url)


def inputs() -> Iterator[tuple[str, bytes, list[str]]]:
    """Name, content and options of the same texts in every format."""
    yield "in.json", json.dumps(RECORDS).encode(), []
    lines = "\n".join(TEXTS).encode()
    yield "in.txt", lines, []
    yield "in.log", lines + b"\r\n", ["--format", "lines"]
    compressors: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "zst": partial(pyarrow.Codec("zstd").compress, asbytes=True),
    }
    for suffix, compress in compressors.items():
        yield f"in.jsonl.{suffix}", compress(as_jsonl(RECORDS)), []
    for suffix, delimiter in {"csv": ",", "tsv": "\t"}.items():
        rows = [["id", "body"], *([str(number), text] for number, text in enumerate(TEXTS))]
        written = "".join(
            delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) + "\r\n"
            for row in rows
        )
        yield f"in.{suffix}", b"\xef\xbb\xbf" + written.encode(), ["--text-field", "body"]
    export = "id;body\r\n" + "".join(f'{number};"{text}"\r\n' for number, text in enumerate(TEXTS))
    yield "export.csv", export.encode("utf-16"), ["--text-field", "body", "--encoding", "utf-16"]
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"content": TEXTS, "blob": [b"\xff\x00"] * len(TEXTS)}), sink)
    yield "in.parquet", sink.getvalue().to_pybytes(), ["--text-field", "content"]


@pytest.mark.parametrize(("name", "content", "options"), [pytest.param(*one, id=one[0]) for one in inputs()])
def test_every_form_of_input(
    server: TritonServer, flagged: list[bool], tmp_path: Path, name: str, content: bytes, options: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    suffixes = SUFFIXES if name in ("in.csv", "in.json", "in.parquet") else ("jsonl",)
    outputs = [f"out.{suffix}" for suffix in suffixes]
    for output in (tmp_path / one for one in outputs):
        ran = scan(server.grpc_url, tmp_path / name, "-o", output, *options)
        assert ran.returncode == 0, ran.stderr
        records = read_output(output)
        assert [record["verdict"]["flagged"] for record in records] == flagged
        field = options[1] if "--text-field" in options else "text"
        assert [record[field] for record in records] == TEXTS
    if name == "in.parquet":
        assert pyarrow.parquet.read_schema(output).field("blob").type == pyarrow.binary()
        assert {record["blob"] for record in records} == {b"\xff\x00"}
    assert not list(tmp_path.glob("*.part"))


def test_standard_input_to_standard_output_is_data_alone(server: TritonServer, flagged: list[bool]) -> None:
    ran = scan(server.grpc_url, "-", "--format", "lines", "-o", "-", standard_input="\n".join(TEXTS).encode())
    assert ran.returncode == 0
    records = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [record["verdict"]["flagged"] for record in records] == flagged
    compressed = scan(
        server.grpc_url,
        "-",
        "--format",
        "jsonl.gz",
        "-o",
        "-",
        standard_input=gzip.compress(as_jsonl(RECORDS)),
    )
    assert len(compressed.stdout.splitlines()) == len(RECORDS)
    unnamed = scan(server.grpc_url, "-", "-o", "-")
    assert (unnamed.returncode, unnamed.stdout) == (2, b"")
    assert b"standard input needs --format" in unnamed.stderr


def test_a_pipe_gives_each_batch_before_the_next_one_arrives(
    server: TritonServer, flagged: list[bool]
) -> None:
    with subprocess.Popen(
        [TRIBUNAL, "scan", "-", "--format", "lines", "-o", "-", "--batch-size", "4", "--judge", "never"],
        env={"TRIBUNAL_URL": server.grpc_url, "PATH": "", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdin
        assert running.stdout
        for start in (0, 4):
            running.stdin.write("".join(f"{text}\n" for text in TEXTS[start : start + 4]).encode())
            running.stdin.flush()
            # Standard input stays open, so this would hang without answers.
            records = [json.loads(running.stdout.readline()) for _ in range(4)]
            assert [record["verdict"]["flagged"] for record in records] == flagged[start : start + 4]
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 130


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_spans_of_a_verdict_are_one_of_its_columns(
    server: TritonServer, tmp_path: Path, suffix: str
) -> None:
    texts = [f"{HARMLESS} {HARM} {HARMLESS}", HARMLESS, "a" * 70_000]
    source, plain, output = (tmp_path / name for name in ("in.jsonl", f"plain.{suffix}", f"out.{suffix}"))
    source.write_bytes(as_jsonl([{"id": number, "text": text} for number, text in enumerate(texts)]))
    assert scan(server.grpc_url, source, "-o", plain).returncode == 3
    assert scan(server.grpc_url, source, "-o", output, "--spans").returncode == 3
    without, records = (verdicts_of(path) for path in (plain, output))
    assert not any("spans" in verdict for verdict in without)
    assert [verdict["flagged"] for verdict in without] == [False, False]
    assert [verdict["flagged"] for verdict in records] == [True, False]
    (span,) = records[0]["spans"]
    assert texts[0][span["start"] : span["end"]] == HARM
    assert records[1]["spans"] == []
    with Client(server.grpc_url) as client:
        asked = client.moderate(texts[0], judge="never", spans=True).as_document()
    assert json.loads(json.dumps(asked["spans"])) == records[0]["spans"]
    assert scan(server.grpc_url, source, "-o", output, "--spans", "--retry-failed").returncode == 3
    assert verdicts_of(output) == records
    summaries = [
        json.loads(path.with_name(f"{path.name}.scan.json").read_text("utf-8")) for path in (plain, output)
    ]
    assert set(summaries[0]["summary"]) == set(summaries[1]["summary"])
    other = scan(server.grpc_url, source, "-o", output)
    assert other.returncode == 1
    assert b"was started with other options: spans was true and is false" in other.stderr


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_each_item_of_a_list_has_the_verdict_of_its_text(
    server: TritonServer, flagged: list[bool], tmp_path: Path, suffix: str
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / f"out.{suffix}"
    chats = [TEXTS[start : start + 7] for start in range(0, len(TEXTS), 7)]
    source.write_bytes(as_jsonl([{"messages": [{"content": text} for text in chat]} for chat in chats]))
    ran = scan(server.grpc_url, source, "-o", output, "--text-field", "messages[].content")
    assert ran.returncode == 0, ran.stderr
    records = read_output(output)
    assert [len(record["verdict"]) for record in records] == [len(chat) for chat in chats]
    verdicts = [verdict for record in records for verdict in record["verdict"]]
    assert [verdict["flagged"] for verdict in verdicts] == flagged
    assert {record["error"] for record in records} == {None}


def test_one_line_says_what_a_file_is_and_what_to_give(server: TritonServer, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes("text\na\n".encode("utf-16"))
    (tmp_path / "in.txt").write_text("a", "utf-8")
    for (source, output), message in {
        (str(tmp_path / "in.csv"), "-"): b"it is UTF-16, not UTF-8: give --encoding utf-16",
        ("s3://bucket/in.jsonl", "-"): b"s3://bucket/in.jsonl is no local file",
        (str(tmp_path / "in.txt"), "https://host/out.jsonl"): b"https://host/out.jsonl is no local file",
    }.items():
        ran = scan(server.grpc_url, source, "-o", output)
        assert (ran.returncode, ran.stdout) == (1, b"")
        assert message in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def verdicts_of(output: Path) -> list[dict[str, Any]]:
    """The verdicts of an output in any format."""
    verdicts = [record["verdict"] for record in read_output(output) if record["verdict"]]
    if output.suffix == ".csv":
        for record, verdict in zip(read_output(output), verdicts, strict=False):
            if "verdict.spans" in record:
                verdict["spans"] = json.loads(record["verdict.spans"])
    return verdicts
