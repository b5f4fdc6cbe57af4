"""A scan that is interrupted at random times has the same output as an uninterrupted one.

The environment variable INTERRUPTIONS sets their number, SEED their times.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from export_scripts.demo.text import read_judgements
from launcher.exposure.ports import Ports, free_ports
from perf.serving.launched_server import LaunchedServer

TRIBUNAL = str(Path(sys.executable).parent / "tribunal")
INTERRUPTIONS = int(os.environ.get("INTERRUPTIONS", "8"))
SEED = int(os.environ.get("SEED", "7"))
RECORDS = 1500
LONGEST_PAUSE_S = 6.0
CLIENT_KINDS = {"kill -9 of the client": signal.SIGKILL, "Ctrl-C": signal.SIGINT}
SERVER_KINDS = {"kill -9 of the server": signal.SIGKILL, "stop of the server": signal.SIGTERM}
KINDS = (*CLIENT_KINDS, *SERVER_KINDS)


@pytest.mark.timeout(3600)
def test_no_record_is_missing_or_duplicated(demo_repository: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    ports = free_ports()
    source, whole = tmp_path / "in.jsonl", tmp_path / "whole.jsonl"
    texts = [row["text"] for row in read_judgements("heldout")]
    records = [json.dumps({"id": number, "text": texts[number % len(texts)]}) for number in range(RECORDS)]
    records[700] = "no JSON"
    records[900] = json.dumps({"id": 900, "text": "a" * 70_000})
    source.write_text("\n".join(records), "utf-8")
    seen: Counter[str] = Counter()

    with ExitStack() as stack:
        server = LaunchedServer(demo_repository, ports, tmp_path / "log", "--without-judge")
        server.start()
        stack.callback(server.stop)
        subprocess.run(command(ports, source, whole), check=False, capture_output=True)
        expected = whole.read_bytes()
        assert len(expected.splitlines()) == RECORDS
        number = 0
        while sum(seen.values()) < INTERRUPTIONS:
            number += 1
            output = tmp_path / f"out{number}.jsonl"
            finished = False
            while not finished:
                with (
                    subprocess.Popen(
                        command(ports, source, output), stdout=subprocess.PIPE, stderr=subprocess.PIPE
                    ) as client,
                    ExitStack() as ending,
                ):
                    ending.callback(client.kill)
                    kind = chance.choice(KINDS) if sum(seen.values()) < INTERRUPTIONS else None
                    try:
                        client.wait(chance.uniform(0, LONGEST_PAUSE_S) if kind else None)
                    except subprocess.TimeoutExpired:
                        assert kind is not None
                        seen[kind] += 1
                        if kind in CLIENT_KINDS:
                            client.send_signal(CLIENT_KINDS[kind])
                        else:
                            server.stop(SERVER_KINDS[kind])
                            server.start()
                    _, said = client.communicate()
                finished = client.returncode == 3
                # A restart of the server does not end a scan.
                assert finished or kind in CLIENT_KINDS, (said, (tmp_path / "log").read_text("utf-8"))
            assert output.read_bytes() == expected
            assert not list(tmp_path.glob("*.part"))
    print(f"{number} scans of {RECORDS} records, interrupted: {dict(seen)}")  # noqa: T201


def command(ports: Ports, source: Path, output: Path) -> list[str]:
    url = f"127.0.0.1:{ports.grpc}"
    options = ["--judge", "never", "--url", url, "--batch-size", "4", "--concurrency", "4"]
    return [TRIBUNAL, "scan", str(source), "-o", str(output), *options]
