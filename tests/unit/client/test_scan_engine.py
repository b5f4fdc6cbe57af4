"""A scan's waits for a server that is down for a time."""

from typing import Any

import pytest
from tribunal import InvalidInput, ServerInfo, ServerUnavailable, Weights
from tribunal.scan import engine
from tribunal.scan.engine import Asker

DEMO = {"aegis": Weights("demo", None, "fp32")}


class FlakyClient:
    """A server that is not ready `absences` times, and whose weights request fails `failures` times."""

    def __init__(self, failures: int = 0, absences: int = 0) -> None:
        self.failures = failures
        self.absences = absences

    def is_ready(self) -> bool:
        self.absences -= 1
        return self.absences < 0

    def info(self) -> ServerInfo:
        if self.failures:
            self.failures -= 1
            raise ServerUnavailable("gone")
        return ServerInfo("2.51.0", {}, DEMO)


def asker(client: Any, wait_s: float = 10.0) -> Asker:
    return Asker(client, None, True, wait_s, on_wait=lambda _: None)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "POLL_INTERVAL_S", 0.01)


def test_a_server_that_goes_between_two_questions_is_waited_for() -> None:
    waiting = asker(FlakyClient(failures=3))
    waiting.wait_until_ready()
    assert waiting.weights == DEMO


def test_it_is_not_waited_for_longer_than_was_asked() -> None:
    with pytest.raises(ServerUnavailable, match=r"gave up after 0\.1 s: gone"):
        asker(FlakyClient(failures=10**9), wait_s=0.1).wait_until_ready()


def test_other_weights_end_the_scan() -> None:
    waiting = asker(FlakyClient(absences=1))
    waiting.weights = {"aegis": Weights("hub:AC/model", "1", "fp32")}
    with pytest.raises(InvalidInput, match="restarted with other weights"):
        waiting.wait_until_ready()
