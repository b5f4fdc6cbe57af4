"""Restoring models after crashes, with a simulated Triton, simulated processes and self-checks."""

import threading
import time
from collections.abc import Callable

import pytest

from launcher.process.self_check import SelfCheckError
from launcher.recovery import supervisor
from launcher.recovery.events import Event, OnEvent
from launcher.recovery.supervisor import Supervisor

STEPS = {"moderation": {"tokenizer", "aegis"}, "judge": {"phi3"}}
SERVED = ("aegis", "judge", "moderation", "phi3", "tokenizer")


class FakeServer:
    """A simulated Triton with two stubs for each model; a test can make loads and self-checks fail or slow.

    refuses: aegis answers with other scores. silent: number of self-checks without an answer.
    """

    references = frozenset({"aegis"})

    def __init__(self) -> None:
        self.models = SERVED
        self.composed_of = STEPS
        self.all_states = dict.fromkeys(SERVED, "READY")
        self.alive = {
            f"{model}{number}": model for model in ("aegis", "phi3", "tokenizer") for number in (0, 1)
        }
        self.failures: dict[str, int] = {}
        self.slow: dict[str, threading.Event] = {}
        self.unloads_for_ever: set[str] = set()
        self.refuses = False
        self.silent = 0
        self.refusals: list[SelfCheckError] = []
        self.calls: list[str] = []

    def states(self) -> dict[str, str]:
        return dict(self.all_states)

    def instances(self, model: str) -> int:  # noqa: ARG002
        return 2

    def stubs(self) -> dict[int, str]:
        return {hash(name): model for name, model in self.alive.items()}

    def kill(self, model: str) -> None:
        """End one stub; Triton still reports the model as READY."""
        del self.alive[f"{model}0"]

    def load(self, model: str) -> None:
        self.calls.append(f"load {model}")
        if model in self.slow:
            self.slow[model].wait(10)
        if self.failures.get(model, 0) > 0:
            self.failures[model] -= 1
            raise OSError("refused")
        if model not in self.composed_of:
            self.alive.update({f"{model}{number}": model for number in (0, 1)})
        self.all_states[model] = "READY"

    def check(self, model: str) -> None:
        self.calls.append(f"check {model}")
        if self.silent:
            self.silent -= 1
            raise OSError("no answer")
        if self.refuses:
            raise SelfCheckError(model, f"{model} computes other scores")

    def unload(self, model: str) -> None:
        self.calls.append(f"unload {model}")
        self.alive = {name: owner for name, owner in self.alive.items() if owner != model}
        self.all_states[model] = "UNLOADING" if model in self.unloads_for_ever else "UNAVAILABLE"
        for ensemble, steps in self.composed_of.items():
            if model in steps:
                self.all_states[ensemble] = "UNAVAILABLE"

    def kill_stubs(self, model: str) -> None:  # noqa: ARG002
        raise AssertionError("every unload of this test ends")

    def kill_orphans(self) -> None:
        self.calls.append("kill orphans")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    monkeypatch.setattr(supervisor, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.01)
    return FakeServer()


def supervised(server: FakeServer, on_event: OnEvent) -> Supervisor:
    return Supervisor(server, server, server, on_event, server.refusals.append)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def is_restored(events: list[Event], model: str) -> bool:
    return any((event.kind, event.model) == ("restored", model) for event in events)


def is_whole(server: FakeServer) -> bool:
    return set(server.all_states.values()) == {"READY"} and len(server.alive) == 6


def test_a_dead_process_is_replaced_and_then_the_ensemble_of_its_model(server: FakeServer) -> None:
    events: list[Event] = []
    with supervised(server, events.append):
        server.kill("aegis")
        until(lambda: is_restored(events, "moderation"))
    assert is_whole(server)
    assert server.calls == [
        *("unload aegis", "kill orphans", "unload moderation", "load aegis", "check aegis"),
        *("load moderation", "check aegis"),
    ]
    assert events[0] == Event("lost", "aegis has died; restoring it", "aegis")


def test_an_encoder_that_fails_its_self_check_is_refused_and_nothing_more_is_restored(
    server: FakeServer,
) -> None:
    events: list[Event] = []
    server.refuses = True
    with supervised(server, events.append):
        server.kill("aegis")
        until(lambda: bool(server.refusals))
        server.kill("tokenizer")
        time.sleep(0.1)
    assert [error.model for error in server.refusals] == ["aegis"]
    assert [event.kind for event in events] == ["lost"]
    assert not {"load moderation", "load tokenizer"} & set(server.calls)


def test_an_encoder_that_is_loaded_with_its_ensemble_is_checked_too(server: FakeServer) -> None:
    events: list[Event] = []
    server.refuses = True
    with supervised(server, events.append):
        server.kill("tokenizer")
        until(lambda: bool(server.refusals))
    assert server.calls[-2:] == ["load moderation", "check aegis"]


def test_an_encoder_that_does_not_answer_its_self_check_is_loaded_again(server: FakeServer) -> None:
    events: list[Event] = []
    server.silent = 2
    with supervised(server, events.append):
        server.kill("aegis")
        until(lambda: is_restored(events, "moderation"))
    # Once more with the ensemble.
    assert server.calls.count("load aegis") == server.calls.count("check aegis") - 1 == 3
    assert server.calls.count("load moderation") == 1
    assert [event.kind for event in events if event.model == "aegis"] == [
        *("lost", "not_restored", "not_restored", "restored"),
    ]


def test_a_process_that_dies_while_another_is_restored_is_restored_too(server: FakeServer) -> None:
    server.slow["aegis"] = threading.Event()
    with supervised(server, print):
        server.kill("aegis")
        until(lambda: "load aegis" in server.calls)
        server.kill("tokenizer")
        until(lambda: "load tokenizer" in server.calls)
        server.slow["aegis"].set()
        until(lambda: is_whole(server))


def test_a_model_that_cannot_be_loaded_delays_no_other_model(server: FakeServer) -> None:
    server.failures["phi3"] = 10**6
    with supervised(server, print):
        server.unload("phi3")
        until(lambda: server.calls.count("load phi3") >= 2)
        server.kill("tokenizer")
        until(lambda: server.all_states["moderation"] == "READY" and "load tokenizer" in server.calls)
    assert server.all_states["phi3"] == "UNAVAILABLE"
    assert "load judge" not in server.calls


def test_a_load_that_succeeds_on_the_third_try(server: FakeServer) -> None:
    events: list[Event] = []
    server.failures["aegis"] = 2
    with supervised(server, events.append):
        server.kill("aegis")
        until(lambda: is_whole(server) and is_restored(events, "aegis"))
    refused = [event.line for event in events if event.kind == "not_restored"]
    assert [event.rpartition("in ")[2] for event in refused] == ["0.01 s", "0.02 s"]


def test_a_model_that_unloads_for_ever_is_tried_again_after_a_failed_load(server: FakeServer) -> None:
    server.unloads_for_ever.add("aegis")
    server.failures["aegis"] = 2
    with supervised(server, print):
        server.kill("aegis")
        until(lambda: is_whole(server))
    assert server.calls.count("load aegis") == 3


def test_stopping_wins_over_restoring(server: FakeServer) -> None:
    server.slow["aegis"] = threading.Event()
    with supervised(server, print):
        server.kill("aegis")
        until(lambda: "load aegis" in server.calls)
    server.unload("moderation")
    server.slow["aegis"].set()
    until(lambda: server.all_states["aegis"] == "READY")
    time.sleep(0.1)
    assert "load moderation" not in server.calls
    assert server.all_states["moderation"] == "UNAVAILABLE"


def test_a_model_that_loads_by_itself_is_left_alone(server: FakeServer) -> None:
    server.all_states["aegis"] = "LOADING"
    with supervised(server, print):
        time.sleep(0.1)
    assert server.calls == []
