"""The work file: recovery from an interruption at any byte."""

import json
from pathlib import Path

import pytest
from tribunal import InvalidInput
from tribunal.scan.journal import COMPLETE, RETRYING, SCANNING, Journal

PLAN = {"judge": "never", "text_field": "text"}
LINES = [
    json.dumps({"text": f"é{number}", "verdict": None, "error": "x"}).encode() + b"\n" for number in range(4)
]
SUMMARY = {"records": 4, "failed": 4}


def fill(output: Path) -> None:
    with Journal(output) as journal:
        journal.begin(SCANNING, PLAN)
        for line in LINES:
            journal.write(line)


def test_a_work_file_becomes_the_output(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with Journal(output) as journal:
        assert journal.stage is None
    assert not list(tmp_path.iterdir())
    fill(output)
    with Journal(output) as journal:
        assert journal.stage == SCANNING
        assert len(list(journal.resume())) == 4
        journal.complete(SUMMARY, None)
        assert (journal.stage, journal.summary) == (COMPLETE, SUMMARY)
    assert output.read_bytes() == b"".join(LINES)
    assert not journal.part.exists()
    output.unlink()
    with Journal(output) as journal:
        assert journal.stage is None


@pytest.mark.parametrize("cut", range(0, sum(map(len, LINES)) + 1, 7))
def test_wherever_it_was_cut_off_whole_lines_stay(tmp_path: Path, cut: int) -> None:
    output = tmp_path / "out.jsonl"
    fill(output)
    part = tmp_path / "out.jsonl.part"
    part.write_bytes(part.read_bytes()[:cut])
    with Journal(output) as journal:
        done = len(list(journal.resume()))
        assert done == b"".join(LINES)[:cut].count(b"\n")
        for line in LINES[done:]:
            journal.write(line)
    assert part.read_bytes() == b"".join(LINES)


def test_zeros_that_a_crash_of_the_machine_left_are_cut_off(tmp_path: Path) -> None:
    fill(tmp_path / "out.jsonl")
    part = tmp_path / "out.jsonl.part"
    part.write_bytes(b"".join(LINES[:2]) + b"\x00" * 50 + b"\n" + LINES[3])
    with Journal(tmp_path / "out.jsonl") as journal:
        assert len(list(journal.resume())) == 2
    assert part.read_bytes() == b"".join(LINES[:2])


def test_an_end_between_renaming_and_noting_it_is_made_good(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    fill(output)
    (tmp_path / "out.jsonl.part").rename(output)
    with Journal(output) as journal:
        assert journal.stage == SCANNING
        assert len(list(journal.resume())) == 4
        journal.complete(SUMMARY, None)
    assert output.read_bytes() == b"".join(LINES)


def test_a_retry_leaves_the_output_until_it_is_done(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    fill(output)
    with Journal(output) as journal:
        list(journal.resume())
        journal.complete(SUMMARY, None)
        journal.begin(RETRYING, PLAN)
    assert output.read_bytes() == b"".join(LINES)
    with Journal(output) as journal:
        assert (journal.stage, journal.summary) == (RETRYING, SUMMARY)
        journal.require_same(PLAN)


def test_two_cannot_write_one_output(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "out.jsonl"),
        pytest.raises(InvalidInput, match="another scan is writing"),
        Journal(tmp_path / "out.jsonl"),
    ):
        pass


def test_a_damaged_state_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl.scan.json").write_text("{", "utf-8")
    with pytest.raises(InvalidInput, match="is damaged"), Journal(tmp_path / "out.jsonl"):
        pass
    with pytest.raises(InvalidInput, match="cannot write"), Journal(tmp_path / "nowhere" / "out.jsonl"):
        pass
