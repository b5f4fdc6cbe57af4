"""Conventions of the command `tribunal` that need no server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
import typer
from tribunal.commands.cli import app
from tribunal.commands.exit_status import Settings

from tests.unit.client.fake_client import FakeClient

TRIBUNAL = str(Path(sys.executable).parent / "tribunal")
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
NOBODY = "127.0.0.1:1"


def tribunal(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TRIBUNAL, *arguments],
        env={"PATH": "", "LC_ALL": "C.UTF-8", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str) -> None:
    ran = tribunal(command, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    examples = ran.stdout.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert len(examples) >= 2
    assert any(f"tribunal {command}" in example for example in examples)
    assert ("TRIBUNAL_URL" in ran.stdout) == (command != "key")


@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS)])
def test_the_help_of_every_option_shows_its_default(command: tuple[str, ...]) -> None:
    shown = tribunal(*command, "--help", COLUMNS="200").stdout
    options = shown.partition("Options:\n")[2].partition("\n\n")[0]
    entries = re.split(r"^  (?=-)", options, flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        # These variables do not set an option.
        if re.search(r"--(help|install-completion|show-completion)\b", entry):
            continue
        assert re.search(r"\[(.*; )?default: |\[required", " ".join(entry.split())), entry


def test_info_as_json_says_which_weights_are_for_demonstration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeClient(sources={"aegis": "demo", "judge": "hub:a/b"})
    monkeypatch.setattr("tribunal.commands.server.Client", fake)
    app(["info", "--json"], standalone_mode=False, obj=Settings())
    weights = json.loads(capsys.readouterr().out)["weights"]
    assert {name: of_model["are_demo"] for name, of_model in weights.items()} == {
        "aegis": True,
        "judge": False,
    }


def test_a_header_that_is_none_is_not_shown() -> None:
    assert "secret" not in tribunal("info", "--header", "authorization secret").stderr


def test_the_help_of_all_names_commands_and_exit_statuses() -> None:
    ran = tribunal("-h")
    assert ran.returncode == 0
    assert all(f"\n  {command} " in ran.stdout for command in COMMANDS)
    assert all(f"\n    {status} " in ran.stdout for status in ("0", "1", "2", "130"))
    assert "--install-completion" in ran.stdout


def test_no_command_is_wrong_usage() -> None:
    ran = tribunal()
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("Usage: tribunal")


def test_the_version() -> None:
    assert tribunal("--version").stdout == f"{version('tribunal')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("judge",), "No such command 'judge'; see tribunal --help"),
        (("moderate", "--judge", "perhaps"), "see tribunal moderate --help"),
        (("info", "--colour"), "No such option: --colour"),
        (("info", "--timeout", "soon"), "Invalid value for '--timeout'"),
        (("info", "--header", "authorization"), "Invalid value for --header: it must be NAME:VALUE"),
        (("evaluate", "rejection"), "Missing argument"),
        (
            ("evaluate", "rejection", "x.csv", "--recall", "0.9"),
            "--recall and --precision need --recommend",
        ),
        (("evaluate", "rejection", "x.csv", "--examples", "3"), "--examples needs --report"),
        (
            ("evaluate", "rejection", "x.csv", "--recommend", "--recall", "0.9", "--precision", "0.9"),
            "give --recall or --precision, not both",
        ),
        (
            ("evaluate", "rejection", "x.csv", "--recommend", "--recall", "2"),
            "'--recall': Input should be less than",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...], message: str) -> None:
    ran = tribunal(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("tribunal: ")
    assert message in line


@pytest.mark.parametrize(
    "arguments", [("moderate", "text"), ("info",), ("ready",), ("evaluate", "rejection", "x.csv")]
)
def test_a_failure_is_one_line_and_status_1(arguments: tuple[str, ...]) -> None:
    ran = tribunal(*arguments, TRIBUNAL_URL=NOBODY)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"tribunal: no server answers at {NOBODY}")


def test_debug_shows_the_traceback_of_the_same_failure() -> None:
    ran = tribunal("--debug", "info", "--url", NOBODY)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Traceback")
    assert ran.stderr.splitlines()[-1].startswith(f"tribunal: no server answers at {NOBODY}")


def test_the_option_url_goes_before_the_environment() -> None:
    assert "ftp://there" in tribunal("info", "--url", "ftp://there", TRIBUNAL_URL="ftp://here").stderr
    assert "ftp://here" in tribunal("info", TRIBUNAL_URL="ftp://here").stderr


def test_standard_input_that_is_no_text() -> None:
    ran = subprocess.run(
        [TRIBUNAL, "moderate", "--url", NOBODY],
        env={"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:strict"},
        input=b"good\nb\xff\xfe",
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (1, b"tribunal: standard input is not UTF-8 at byte 6\n")


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("sklearn", ["evaluate", "aegis", "x.csv"], "evaluate"),
        ("pyarrow", ["scan", "x.parquet", "-o", "-"], "scan"),
    ],
)
def test_a_missing_extra_is_named(package: str, arguments: list[str], extra: str, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").touch()
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['tribunal', *{arguments}];"
        "from tribunal.__main__ import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"tribunal: {extra} needs {package}: pip install 'tribunal[cli,{extra}]'\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [("tribunal mod", "moderate"), ("tribunal evaluate r", "rejection"), ("tribunal info --u", "--url")],
)
def test_the_shell_completes_commands_values_and_options(words: str, expected: str) -> None:
    current_word = str(len(words.split()) - 1)
    ran = tribunal(_TRIBUNAL_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=current_word)
    assert ran.stdout.split() == [expected]


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


@pytest.mark.parametrize("scheme", ["", "http://"])
@pytest.mark.parametrize("arguments", [("moderate", "text"), ("evaluate", "toxicity", "x.csv")])
def test_ctrl_c_is_status_130_without_a_traceback(
    silent: socket.socket, scheme: str, arguments: tuple[str, ...]
) -> None:
    url = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
    with subprocess.Popen(
        [TRIBUNAL, *arguments, "--url", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        asked, _ = silent.accept()
        with asked:
            assert asked.recv(1)
            # Ctrl-C arrives while it waits for the answer.
            while psutil.Process(running.pid).status() != psutil.STATUS_SLEEPING:
                pass
            running.send_signal(signal.SIGINT)
            assert running.communicate(timeout=30) == (b"", b"")
    assert running.returncode == 130


def test_a_reader_that_goes_away_makes_no_traceback() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    ran = subprocess.run(
        [TRIBUNAL, "--help"], stdout=write_end, stderr=subprocess.PIPE, check=False, timeout=30
    )
    os.close(write_end)
    assert (ran.returncode, ran.stderr) == (1, b"")
