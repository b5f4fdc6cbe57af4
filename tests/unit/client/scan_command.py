"""Runs `tribunal scan` in this process, with a client without a server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tribunal.commands.cli import app
from tribunal.commands.exit_status import Settings

from tests.unit.client.fake_client import FakeClient


def scan(*arguments: str | Path) -> int:
    """Exit status of the command."""
    status = app(["scan", *map(str, arguments)], standalone_mode=False, obj=Settings())
    return int(status or 0)


@contextmanager
def fake_client() -> Iterator[FakeClient]:
    """The client that the command uses."""
    client = FakeClient()
    with patch("tribunal.commands.scan.Client", client):
        yield client


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def only(path: Path) -> dict[str, Any]:
    (record,) = read(path)
    return record
