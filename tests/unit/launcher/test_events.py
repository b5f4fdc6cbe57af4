"""The events of a server as lines of JSON, and the restarts that a program counts by them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from launcher import __main__ as launcher
from launcher.process.server import TritonServer
from launcher.recovery.events import Event, EventFile, read_events
from launcher.recovery.restarts import Restarts
from perf.serving.launched_server import LaunchedServer


def test_an_event_is_a_line_with_its_time_and_model(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    EventFile(file).write(Event("ready", "every model serves"))
    EventFile(file).write(Event("lost", "aegis has died", "aegis"))
    events = read_events(file)
    assert [event.pop("time") > 0 for event in events] == [True, True]
    assert events == [{"event": "ready"}, {"event": "lost", "model": "aegis"}]


def test_an_unfinished_line_and_a_missing_file_are_no_events(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    EventFile(None).write(Event("ready", "every model serves"))
    assert read_events(file) == []
    file.write_text('{"event": "ready"}\n{"eve')
    assert read_events(file) == [{"event": "ready"}]


class MortalServer:
    """A server that dies twice and is then stopped."""

    log_name = "a log"

    def __init__(self) -> None:
        self.statuses = [-9, -11]

    def wait(self) -> int:
        if not self.statuses:
            raise KeyboardInterrupt
        return self.statuses.pop(0)


def test_each_restart_of_tritonserver_is_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def nothing(*_: object, **__: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(launcher, "started", nothing)
    monkeypatch.setattr(launcher, "supervise", nothing)
    monkeypatch.setattr(Restarts, "pause_s", lambda _: 0.0)
    ports = cast(Any, type("Ports", (), {"http": 1, "grpc": 2, "metrics": 3}))
    launched = LaunchedServer(tmp_path, ports, tmp_path / "launcher.log")
    with pytest.raises(KeyboardInterrupt):
        launcher.keep_serving(
            cast(TritonServer, MortalServer()), [], EventFile(tmp_path / "launcher.events.jsonl")
        )
    kinds = [event["event"] for event in read_events(tmp_path / "launcher.events.jsonl")]
    assert kinds == ["ready", "restarting", "ready", "restarting", "ready"]
    assert launched.restarts == 2
