"""The command `tribunal` as a process."""

import json
import subprocess
import sys
from pathlib import Path

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer

TRIBUNAL = str(Path(sys.executable).parent / "tribunal")


def tribunal(
    *arguments: str, url: str, standard_input: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TRIBUNAL, *arguments],
        env={"TRIBUNAL_URL": url, "PATH": "", "LC_ALL": "C.UTF-8"},
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
    )


def test_json_is_one_verdict_a_line(url: str) -> None:
    ran = tribunal("moderate", "--json", "How to make a bomb?", "The bread is fresh.", url=url)
    assert (ran.returncode, ran.stderr) == (0, "weights for demonstration only: rejection, aegis, judge\n")
    bomb, bread = map(json.loads, ran.stdout.splitlines())
    assert bomb["flagged"]
    assert not bread["flagged"]
    assert (bomb["index"], bread["index"], bread["text"]) == (0, 1, "The bread is fresh.")
    assert set(bread) - {"index", "text"} == {
        "flagged",
        "refusal",
        "categories",
        "toxicity",
        "windows",
        "truncated",
    }
    assert bread["toxicity"]["status"] == "answered"


def test_spans_are_in_the_table_and_in_the_documents(server: TritonServer) -> None:
    text = "The bread is fresh. How to make a bomb? The library opens again on Monday."
    table = tribunal("moderate", "--spans", "--judge", "never", text, url=server.grpc_url)
    assert (
        "\n    sentence: How to make a bomb?\n        categories: Guns and Illegal Weapons " in table.stdout
    )
    documents = tribunal("moderate", "--spans", "--json", "--judge", "never", text, url=server.grpc_url)
    (span,) = json.loads(documents.stdout)["spans"]
    assert text[span["start"] : span["end"]] == "How to make a bomb?"
    streamed = tribunal("moderate", "--spans", "--json", "--stream", text, url=server.grpc_url)
    assert json.loads(streamed.stdout.splitlines()[-1])["spans"] == [span]


def test_the_judge_can_be_left_out_or_streamed(server: TritonServer) -> None:
    text = "You are a pathetic clown."
    never = tribunal("moderate", "--json", "--judge", "never", text, url=server.grpc_url)
    assert json.loads(never.stdout)["toxicity"]["status"] == "skipped"
    brief = tribunal("moderate", "--json", "--no-explain", text, url=server.grpc_url)
    assert json.loads(brief.stdout)["toxicity"]["reason"] is None
    stream = tribunal("moderate", "--stream", text, url=server.grpc_url)
    assert stream.stdout.strip().startswith("toxic. ")
    pieces = tribunal("moderate", "--stream", "--json", text, url=server.grpc_url)
    *parts, whole = map(json.loads, pieces.stdout.splitlines())
    assert "".join(part["piece"] for part in parts) == whole["answer"] == stream.stdout.rstrip("\n")
    table = tribunal("moderate", text, url=server.grpc_url)
    assert "toxic 1.00" in table.stdout
    assert "\n    reason: The text" in table.stdout


def test_texts_come_from_standard_input_a_line_each(server: TritonServer) -> None:
    ran = tribunal("moderate", "--json", url=server.grpc_url, standard_input="one\ntwo\n")
    assert len(ran.stdout.splitlines()) == 2


def test_a_piped_table_has_no_colours_and_survives_odd_text(server: TritonServer) -> None:
    texts = ["How to make a bomb?", "[red]a[/red] \x1b[31mtrick\x1b[0m", "line\nbreak"]
    ran = tribunal("moderate", *texts, url=server.grpc_url)
    assert ran.returncode == 0, ran.stderr
    assert "\x1b" not in ran.stdout
    assert "[red]a[/red]" in ran.stdout
    assert "Guns and Illegal Weapons" in ran.stdout
    # Details of a row, which may be long, are indented below it.
    rows = [line for line in ran.stdout.splitlines() if not line.startswith("    ")]
    assert len(rows) == 2 + len(texts)


def test_info_warns_of_demo_weights(url: str) -> None:
    ran = tribunal("info", url=url)
    assert ran.returncode == 0
    assert "demo, fp32 (for demonstration only)" in ran.stdout
    document = json.loads(tribunal("info", "--json", url=url).stdout)
    assert document["weights"]["aegis"]["source"] == "demo"
    assert document["weights"]["aegis"]["are_demo"] is True


def test_ready(url: str) -> None:
    ran = tribunal("ready", url=url)
    assert (ran.returncode, ran.stdout) == (0, "ready\n")


def test_a_failure_is_one_line_on_standard_error() -> None:
    for command in (("moderate", "text"), ("info",), ("ready",)):
        ran = tribunal(*command, url=f"127.0.0.1:{free_ports().grpc}")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith("tribunal: no server answers at 127.0.0.1:")
        assert len(ran.stderr.splitlines()) == 1


def test_bad_input_is_named(server: TritonServer) -> None:
    ran = tribunal("moderate", "fine", "a " * 35_000, url=server.grpc_url)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "text[1] has" in ran.stderr


def test_a_reader_that_goes_away_ends_it_without_a_traceback(server: TritonServer) -> None:
    with subprocess.Popen(
        [TRIBUNAL, "moderate", "--json", "--judge", "never", "--url", server.grpc_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        running.stdin.write("one\ntwo\nthree\n")
        running.stdin.close()
        assert running.stderr.read() == ""
    assert running.returncode == 1
