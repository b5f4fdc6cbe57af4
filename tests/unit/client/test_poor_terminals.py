"""The command line in poor surroundings: encodings with few characters, closed streams, and odd options."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tribunal.commands.cli import app
from tribunal.commands.exit_status import run

from tests.unit.client.kserve_server import kserve_server

TRIBUNAL = Path(sys.executable).parent / "tribunal"
TEXT = "naïve – … 漢字 " + "and so on " * 10
CASES_PER_COMMAND = 60
UNFORESEEN = ("unexpected", "Traceback", "never awaited")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with kserve_server() as server:
        yield server.url


def shell(command: str, url: str, **environment: str) -> tuple[int, bytes, str]:
    """Status, output and errors of `command`, in which `tribunal` is the command line."""
    ran = subprocess.run(
        ["/bin/bash", "-c", command.replace("tribunal", str(TRIBUNAL), 1)],
        env={
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "TRIBUNAL_URL": url,
            "TEXT": TEXT,
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr.decode()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8", "utf-16"])
def test_a_verdict_is_printed_in_every_encoding(url: str, encoding: str) -> None:
    status, printed, errors = shell('tribunal moderate --judge never "$TEXT"', url, PYTHONIOENCODING=encoding)
    assert (status, errors) == (0, "")
    head, rule, row, *_ = printed.decode(encoding).splitlines()
    assert head.split() == ["text", "flagged", "refusal", "judge"]
    assert set(rule) == ({"─"} if encoding.startswith("utf") else {"-"})
    assert row.split()[-2:] == ["no", "0.00"]


def test_arguments_are_utf8_whatever_the_locale_says(url: str) -> None:
    poor = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    status, printed, errors = shell('tribunal moderate --json "$TEXT"', url, **poor)
    assert (status, errors) == (0, "")
    assert b"\\u6f22\\u5b57" in printed


INPUT_CLOSED = "tribunal: standard input is closed: redirect a file to it, or give texts as arguments\n"
OUTPUT_CLOSED = "tribunal: standard output is closed: redirect it to a file or to /dev/null\n"


@pytest.mark.parametrize(
    ("command", "status", "errors"),
    [
        ("tribunal moderate <&-", 1, INPUT_CLOSED),
        ("tribunal scan - --format lines -o - <&-", 1, INPUT_CLOSED),
        ("tribunal moderate a <&-", 0, ""),
        ("tribunal moderate a >&-", 1, OUTPUT_CLOSED),
        ("tribunal --version >&-", 1, OUTPUT_CLOSED),
        ("tribunal moderate a 2>&-", 0, ""),
        ("tribunal moderate a <&- >&- 2>&-", 1, ""),
        ("tribunal moderate a >/dev/full", 1, "tribunal: [Errno 28] No space left on device\n"),
    ],
)
def test_a_closed_stream_is_named(url: str, command: str, status: int, errors: str) -> None:
    ran = shell(command, url)
    assert (ran[0], ran[2]) == (status, errors)


URLS = (
    *("127.0.0.1:1", "http://127.0.0.1:1", "grpcs://127.0.0.1:1", "https://127.0.0.1:1", "http://[::1]:1"),
    *("localhost:99999", "127.0.0.1:8001:", "::::", "", " ", "http://", "ftp://host", "unix:/tmp/socket"),
    *(
        "http://a b",
        "ä:1",
        "http://ä:1",
        "http://xn--:1",
        "\udcff:1",
        "http://127.0.0.1:1/%zz",
        "a" * 300 + ":1",
    ),
    *("http://127.0.0.1:1/?a#b", "user:password@127.0.0.1:1", "http://user:password@127.0.0.1:1", "[::1]"),
)
HEADERS = (
    *("a:b", "a", "", ":b", "a b:c", "a:", "a:\n", "ä:b", "a:ä", "data-bin:b", "content-length:5", "host:b"),
    *("grpc-timeout:b", "connection:close", "transfer-encoding:chunked", "te:b", "content-type:b", ":path:b"),
    *("user-agent:b", "grpc-encoding:b", "accept-encoding:b", "content-encoding:gzip", "a: b ", "\udcff:b"),
)
NUMBERS = ("0", "-1", "1", "0.5", "nan", "inf", "1e400", "1e300", "a", "", "1" * 40)
WORDS = ("always", "auto", "never", "sometimes", "", "ALWAYS", "gzip", "deflate", "rejection", "aegis", "ä")
ENVIRONMENT = {
    "COLUMNS": ("0", "-5", "1", "a", "100000", ""),
    "TERM": ("dumb", "", "unknown"),
    "NO_COLOR": ("1",),
    "FORCE_COLOR": ("1",),
    "http_proxy": ("socks5://a:1", "http://127.0.0.1:1", "::", "http://a b"),
    "all_proxy": ("socks5h://127.0.0.1:1", "127.0.0.1:99999"),
    "no_proxy": ("*", "::", ",,", "[", "10.0.0.0/99"),
    "TRIBUNAL_TOKEN": ("a\nb", "ä", "\udcff", " "),
    "TRIBUNAL_CA": ("/nowhere", "/", "/dev/null", ""),
    "TRIBUNAL_URL": URLS,
}
CONNECTION = {
    "--url": URLS,
    "--timeout": ("0.3", *NUMBERS),
    "--header": HEADERS,
    "--compression": WORDS,
    "--ca": ("/nowhere", "/", "/dev/null", "", __file__),
    "--cert": ("/nowhere", __file__),
    "--key": (__file__,),
}
SCREENING = {"--judge": WORDS, "--explain": (), "--spans": (), "--json": (), "--stream": ()}


def options_of(command: str, files: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The options of `command` and their values; an option without values is a switch."""
    match command:
        case "moderate":
            return {**CONNECTION, **SCREENING}
        case "scan":
            numbers = {"--concurrency": NUMBERS, "--batch-size": NUMBERS, "--text-field": WORDS}
            formats = {"--format": ("jsonl", "csv", "lines", "jsonl.gz", "json.zst", "parquet", "a", "")}
            switches: dict[str, tuple[str, ...]] = {"--overwrite": (), "--retry-failed": ()}
            return {**CONNECTION, **numbers, **formats, **switches, "--judge": WORDS, "-o": files}
        case "evaluate":
            fields = {"--text-field": WORDS, "--label-field": WORDS, "--split": WORDS, "--limit": NUMBERS}
            numbers = {"--recall": NUMBERS, "--precision": NUMBERS, "--examples": NUMBERS}
            return {**CONNECTION, **fields, **numbers, "--report": files, "--recommend": (), "--json": ()}
        case "key":
            return {"--policy": WORDS, "--rate-limit": ("1/second", *WORDS, *NUMBERS)}
        case _:
            return {**CONNECTION, "--json": ()}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Names of files with odd contents, which are inputs and outputs."""
    contents = {
        "a.jsonl": b'{"text": "a", "label": 1}\n{"text": 7}\n',
        "bad.jsonl": b"\xff\xfe{",
        "list.json": b"[1, 2]",
        "deep.json": b"[" * 100_000,
        "a.csv": b'text,label\n"a,1\n',
        "nul.csv": b"text\n\0\n",
        "a.parquet": b"PAR1",
        "a.jsonl.gz": b"\x1f\x8b",
        "a.jsonl.zst": b"\x28\xb5\x2f\xfd",
        "a.jsonl.xz": b"\xfd7zXZ",
        "a.txt": b"a\n",
        "empty.jsonl": b"",
        "a.jsonl.scan.json": b"{",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    names = [str(tmp_path / name) for name in contents]
    others = ["out.jsonl", "out.parquet", "no/out.jsonl", "a\udcff.jsonl", ".", "b" * 300 + ".jsonl"]
    return (*names, *(str(tmp_path / name) for name in others), "/dev/null", "-", "", "a\nb.csv")


def arguments_of(command: str, files: tuple[str, ...], chosen: random.Random) -> list[str]:
    """A call of `command` that asks no server, because none is at any of the addresses."""
    options = options_of(command, files)
    arguments = [command]
    if command in ("scan", "evaluate", "key"):
        arguments += chosen.choices({"scan": files, "evaluate": WORDS, "key": WORDS}[command])
    if command == "evaluate":
        arguments += chosen.choices(files)
    if command == "moderate":
        arguments += chosen.choices(["", "a", "ä", "\udcff", "\ud800", "a" * 100_000], k=2)
    if "--url" in options:
        arguments += ["--url", chosen.choice(URLS[:4]), "--timeout", "0.5", "--retries", "0"]
    if command == "scan":
        arguments += ["--wait", "0", "-o", files[0]]
    for name in chosen.sample(list(options), k=min(len(options), chosen.randrange(4))):
        arguments += [name, *([chosen.choice(options[name])] if options[name] else [])]
    return arguments


@pytest.mark.parametrize("command", ["moderate", "scan", "evaluate", "key", "info", "ready"])
def test_nothing_that_a_user_can_cause_is_unexpected(
    command: str, files: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(CASES_PER_COMMAND):
        chosen = random.Random(f"{command} {seed}")  # noqa: S311 - no secret
        arguments = arguments_of(command, files, chosen)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["tribunal", *arguments])
            for name in chosen.sample(list(ENVIRONMENT), k=chosen.randrange(3)):
                patch.setenv(name, chosen.choice(ENVIRONMENT[name]))
            status = run(app)
        printed = capsys.readouterr()
        assert status in (0, 1, 2, 3), arguments
        for words in UNFORESEEN:
            assert words not in printed.err, (arguments, printed.err)
        assert status == 0 or "tribunal: " in printed.err or command == "ready", arguments
