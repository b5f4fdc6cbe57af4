"""Messages about a failed start."""

from pathlib import Path

from launcher.process.failures import last_error, one_line


def test_a_reason_comes_to_its_first_line() -> None:
    assert one_line("\n ValueError: no\n\nAt:\n  model.py(3)") == "ValueError: no"
    assert one_line("") == "no reason given"


def test_the_last_error_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("I1 fine\nE1 first\nE2 second\nI2 bye\n")
    assert last_error(log) == "E2 second"
    log.write_text("")
    assert last_error(log) == "it wrote no log"
