"""The README fits one page, and starts with the first commands."""

from launcher.repository.contract import CHECKOUT

LINES = (CHECKOUT / "README.md").read_text("utf-8").splitlines()


def test_it_is_one_page() -> None:
    assert len(LINES) <= 160


def test_both_commands_are_at_its_top() -> None:
    commands = {" ".join(line.split()[:2]) for line in LINES[:40]}
    assert {"make demo", "make test"} <= commands


def test_it_shows_a_picture_that_exists() -> None:
    (image,) = [line.split('src="')[1].split('"')[0] for line in LINES if 'src="' in line]
    assert (CHECKOUT / image).is_file()
