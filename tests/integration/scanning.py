"""Runs `tribunal scan` on texts of the demonstration data."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
from tribunal import Client

from export_scripts.demo.text import read_judgements

TRIBUNAL = str(Path(sys.executable).parent / "tribunal")
SUFFIXES = ("jsonl", "csv", "parquet")
TEXTS = [row["text"] for row in read_judgements("heldout")][:60]
RECORDS: list[dict[str, Any]] = [
    {"id": number, "text": text, "n": {"é": [1.5, None]}} for number, text in enumerate(TEXTS)
]


def scan(
    url: str, *arguments: str | Path, standard_input: bytes = b"", timeout_s: float = 120.0
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [TRIBUNAL, "scan", "--judge", "never", *map(str, arguments)],
        env={"TRIBUNAL_URL": url, "PATH": "", "LC_ALL": "C.UTF-8"},
        input=standard_input,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def read_output(path: Path) -> list[dict[str, Any]]:
    """The records of an output in any format; `verdict` and `error` may be null as in JSONL."""
    if path.suffix == ".jsonl":
        return read_lines(path)
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        flagged = row["verdict.flagged"]
        row["verdict"] = {"flagged": flagged == "true"} if flagged else None
        row["error"] = row["error"] or None
    return rows


def as_jsonl(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def flags(url: str) -> list[bool]:
    """The client's verdicts for TEXTS."""
    with Client(url) as client:
        return [verdict.flagged for verdict in client.moderate_batch(TEXTS, judge="never")]
