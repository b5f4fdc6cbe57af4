"""Output of `tribunal moderate`, with a client without a server."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tribunal import InvalidInput, ServerUnavailable
from tribunal.commands.cli import app
from tribunal.commands.exit_status import Settings
from tribunal.commands.standard_input import PROMPT, batches_of_standard_input
from tribunal.contract import MAX_BATCH_SIZE

from tests.unit.client.fake_client import CATEGORIES, REASON, FakeClient

BAD = "How to make a bomb? " * 20
TEXTS = [BAD, "The bread\nis [red]fresh[/red]."]
WARNING = "weights for demonstration only: aegis, judge\n"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """The client that the command uses."""
    fake = FakeClient()
    monkeypatch.setattr("tribunal.commands.moderate.Client", fake)
    return fake


def moderate(*arguments: str) -> int:
    """Exit status of the command."""
    return int(app(["moderate", *arguments], standalone_mode=False, obj=Settings()) or 0)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_table_is_readable_at_this_width(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setattr("tribunal.console.WIDTH_PIPED", width)
    moderate(*TEXTS)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if not line.startswith((" ", "─"))]
    head, bad, good = (re.split(r" {2,}", row.strip()) for row in rows)
    assert head == ["text", "flagged", "refusal", "judge"]
    assert bad[1:] == ["yes", "0.25", "toxic 0.88"]
    assert good[1:] == ["no", "0.25", "non-toxic 0.12"]
    # The beginning of the text, which identifies it.
    assert len(bad[0]) >= 24
    assert bad[0].endswith("…")
    assert BAD.startswith(bad[0].removesuffix("…"))
    assert good[0].startswith("The bread is [red]fresh")
    # The categories and the reason have their own lines, and no word is broken.
    details = " ".join(line.strip() for line in lines if line.startswith(" "))
    named = ", ".join(f"{name} 0.88" for name in CATEGORIES)
    assert details == f"categories: {named} reason: {REASON} reason: {REASON}"
    assert sum(line.startswith("    reason: ") for line in lines) == 2


def test_rows_that_come_later_stand_under_the_first(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    moderate("--no-explain", *(f"text {number}" for number in range(40)))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("text")]
    assert len(lines) == 41
    assert {line.index("judge" if line.startswith("text  ") else "non-toxic") for line in lines} == {
        lines[0].index("judge")
    }


SPANS_TEXT = (
    "👩‍🚒 The bread is fresh. How to make a bomb? We [b]painted[/b] it.  I am sorry, no bomb today.\n"
)
SENTENCES = ("How to make a bomb?", "I am sorry, no bomb today.")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_table_shows_the_sentences_that_cross_a_threshold_at_this_width(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setattr("tribunal.console.WIDTH_PIPED", width)
    moderate("--spans", SPANS_TEXT, "The bread is fresh.")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    first, second = (number for number, line in enumerate(lines) if not line.startswith((" ", "─", "text")))
    named = ", ".join(f"{name} 0.88" for name in CATEGORIES)
    shown = " ".join(" ".join(lines[first + 1 : second]).split())
    assert shown == (
        f"sentence: {SENTENCES[0]} categories: {named} "
        f"sentence: {SENTENCES[1]} categories: {named} refusal: 0.75 categories: {named} reason: {REASON}"
    )
    begins = [len(line) - len(line.lstrip()) for line in lines[first + 1 : second] if ": " in line]
    assert begins == [4, 8, 4, 8, 8, 4, 4]
    # No score of the harmless text crosses a threshold.
    assert not [line for line in lines[second:] if "sentence" in line]
    assert "sentence" not in _table(capsys, SPANS_TEXT)


def _table(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    moderate(*arguments)
    return capsys.readouterr().out


def test_a_long_sentence_is_shown_whole(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tribunal.console.WIDTH_PIPED", 60)
    sentence = f"{'very ' * 60}big [bomb] in \\[red]C:\\[/red]\\."
    shown = _table(capsys, "--spans", f"Bread. {sentence}")
    assert max(map(len, shown.splitlines())) <= 60
    assert f"sentence: {sentence} categories: Threat 0.88" in " ".join(shown.split())


def test_json_has_the_spans_where_they_are_asked_for(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = map(json.loads, _table(capsys, "--spans", "--json", SPANS_TEXT, "bread").splitlines())
    assert [SPANS_TEXT[span["start"] : span["end"]] for span in bad["spans"]] == list(SENTENCES)
    assert [set(span) for span in bad["spans"]] == [{"start", "end", "refusal", "categories"}] * 2
    assert bad["spans"][1]["refusal"] == {"detected": True, "score": 0.75}
    assert bad["spans"][1]["categories"]["flagged"] == list(CATEGORIES)
    assert good["spans"] == []


def test_a_stream_ends_with_the_spans_where_they_are_asked_for(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _table(capsys, "--spans", "--json", "--stream", SPANS_TEXT, "bread").splitlines()
    *_, last_of_first, _, _, _, last = map(json.loads, lines)
    whole = json.loads(_table(capsys, "--spans", "--json", SPANS_TEXT))
    assert last_of_first == {
        "index": 0,
        "text": SPANS_TEXT,
        "answer": f"toxic. {REASON}",
        "spans": whole["spans"],
    }
    assert last["spans"] == []
    shown = _table(capsys, "--spans", "--stream", SPANS_TEXT)
    assert shown.startswith(f"toxic. {REASON}\n    sentence: {SENTENCES[0]}\n        categories: Threat")


def test_json_names_index_and_text(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"text {number}" for number in range(MAX_BATCH_SIZE)] + ["a bomb"]
    moderate("--json", *texts)
    said = capsys.readouterr()
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert [(document["index"], document["text"]) for document in documents] == list(enumerate(texts))
    assert [document["flagged"] for document in documents] == [False] * MAX_BATCH_SIZE + [True]
    assert set(documents[0]) == {
        "index",
        "text",
        "flagged",
        "refusal",
        "categories",
        "toxicity",
        "windows",
        "truncated",
    }
    assert said.err == WARNING


def test_a_stream_as_json_gives_pieces_and_then_the_whole(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    moderate("--json", "--stream", "a bomb", "bread")
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for index, (text, label) in enumerate((("a bomb", "toxic"), ("bread", "non-toxic"))):
        assert documents[4 * index : 4 * index + 4] == [
            {"index": index, "piece": label},
            {"index": index, "piece": ". "},
            {"index": index, "piece": REASON},
            {"index": index, "text": text, "answer": f"{label}. {REASON}"},
        ]
    assert len(documents) == 8
    moderate("--stream", "a bomb")
    assert capsys.readouterr().out == f"toxic. {REASON}\n"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_answers_are_printed_before_the_next_texts_are_asked_about(
    client: FakeClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    printed = []
    ask = client.moderate_batch

    def watched(texts: Sequence[str], **given: Any) -> Any:
        printed.append("text 31" in capsys.readouterr().out)
        return ask(texts, **given)

    monkeypatch.setattr(client, "moderate_batch", watched)
    moderate(*options, *(f"text {number}" for number in range(MAX_BATCH_SIZE + 1)))
    assert printed == [False, True]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A writer for the text of standard input."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield write_end


def test_lines_are_given_as_they_come(pipe: int) -> None:
    batches = batches_of_standard_input()
    os.write(pipe, b"one\r\n\ntw")
    assert next(batches) == ["one", ""]
    os.write(pipe, "o\nthr\u00e9".encode()[:-1])
    assert next(batches) == ["two"]
    os.write(pipe, b"\xa9e\n" + b"four\n" * 40 + b"last")
    assert next(batches) == ["thr\u00e9e", *["four"] * 31]
    assert next(batches) == ["four"] * 9
    os.close(pipe)
    assert list(batches) == [["last"]]


@pytest.mark.parametrize(("content", "position"), [(b"good\nb\xff\xfe", 6), (b"good\n\xc3", 5)])
def test_a_byte_that_is_no_text_is_named(pipe: int, content: bytes, position: int) -> None:
    os.write(pipe, content[:5])
    batches = batches_of_standard_input()
    assert next(batches) == ["good"]
    os.write(pipe, content[5:])
    os.close(pipe)
    with pytest.raises(InvalidInput, match=f"not UTF-8 at byte {position}$"):
        next(batches)


def test_a_terminal_without_arguments_gets_a_prompt(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyboard, terminal = os.openpty()
    os.write(keyboard, b"a bomb\n\x04")
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        moderate("--json")
    os.close(keyboard)
    said = capsys.readouterr()
    assert said.err == f"{PROMPT}\n{WARNING}"
    assert json.loads(said.out)["text"] == "a bomb"


def test_a_pipe_is_not_told_what_to_type(
    client: FakeClient, pipe: int, capsys: pytest.CaptureFixture[str]
) -> None:
    os.write(pipe, b"a bomb\n")
    os.close(pipe)
    moderate("--json")
    assert capsys.readouterr().err == WARNING


def test_demo_weights_are_warned_of_once_and_real_ones_never(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    moderate(*(f"text {number}" for number in range(2 * MAX_BATCH_SIZE)))
    assert capsys.readouterr().err == WARNING
    client.sources = {"aegis": "hub:a/b", "judge": "dir:/weights"}
    moderate("text")
    assert capsys.readouterr().err == ""


def test_a_server_that_does_not_tell_its_weights_still_moderates(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown() -> None:
        raise ServerUnavailable("no manifest")

    monkeypatch.setattr(client, "info", unknown)
    assert moderate("--json", "bread") == 0
    said = capsys.readouterr()
    assert (json.loads(said.out)["flagged"], said.err) == (False, "")
