"""Every code block of the client's reference, run against the demo server."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT

README = (CHECKOUT / "client" / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
ADDRESS = "localhost:8001"


def test_only_these_languages_are_in_it() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "sh"}


@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "python"])
def test_python(code: str, server: TritonServer) -> None:
    assert ADDRESS in code
    ran = subprocess.run(
        [sys.executable, "-c", code.replace(ADDRESS, server.grpc_url)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    "command", [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
)
def test_commands(command: str, server: TritonServer, tmp_path: Path) -> None:
    heldout = CHECKOUT / "export_scripts" / "demo" / "text"
    few = {
        name: (heldout / f"{model}_heldout.jsonl").read_text("utf-8").splitlines()[::12]
        for name, model in (
            ("labelled", "rejection"),
            ("labelled_aegis", "aegis"),
            ("comments", "rejection"),
        )
    }
    for name, lines in few.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "texts.txt").write_text("one\ntwo\n", "utf-8")
    judged = map(json.loads, (heldout / "judge_heldout.jsonl").read_text("utf-8").splitlines()[::12])
    rows = "".join(f'"{row["text"]}",{row["label"]}\n' for row in judged)
    (tmp_path / "judged.csv").write_text(f"comment,label\n{rows}", "utf-8")
    ran = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=tmp_path,
        env={
            "TRIBUNAL_URL": server.grpc_url,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    # A scan writes a file, and its summary to standard error.
    scans = "tribunal scan" in command
    assert (ran.returncode, bool(ran.stdout)) == (0, not scans), ran.stderr
    if scans:
        assert ran.stderr
    else:
        warning = "weights for demonstration only: rejection, aegis, judge\n"
        assert ran.stderr == (warning if "tribunal moderate" in command else "")
