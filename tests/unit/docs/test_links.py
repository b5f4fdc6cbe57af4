"""Every link between files of the checkout leads to an existing file and heading."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.repository.contract import CHECKOUT

GIT = shutil.which("git")
FENCED = re.compile(r"^(```+|:::+).*?^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
SOURCE = re.compile(r'(?:src|srcset)="([^"]+)"')
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
TARGET = re.compile(r"^\((.*)\)=$", re.MULTILINE)


def markdown_files() -> list[Path]:
    """Every Markdown file that git tracks or does not ignore."""
    listed = subprocess.run(
        [str(GIT), "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [CHECKOUT / name for name in listed.stdout.splitlines()]
    return [file for file in files if file.is_file()]


FILES = markdown_files()


def anchors(file: Path) -> set[str]:
    """Anchors of the headings and targets of `file`."""
    text = FENCED.sub("", file.read_text("utf-8"))
    headings = {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")
        for heading in HEADING.findall(text)
    }
    return headings | set(TARGET.findall(text))


def links(file: Path) -> list[str]:
    """Links and images of `file` without a host."""
    text = FENCED.sub("", file.read_text("utf-8"))
    found = [*LINK.findall(text), *SOURCE.findall(text)]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def test_there_are_files() -> None:
    assert {CHECKOUT / "README.md", CHECKOUT / "docs" / "index.md"} <= set(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CHECKOUT)))
def test_links_resolve(file: Path) -> None:
    for link in links(file):
        name, _, anchor = link.partition("#")
        target = (file.parent / name).resolve() if name else file
        assert target.exists(), f"{link}: no such file"
        if anchor and target.suffix == ".md":
            # These pages include headings of the client's README.
            included = CHECKOUT / "client" / "README.md"
            known = anchors(target) | (anchors(included) if target.parent.name == "reference" else set())
            assert anchor in known, f"{link}: no such heading"
