"""The order of two faults, and the restored files of a model."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from launcher.recovery.processes import STUB
from perf.load.mixed_load import MixedLoad
from perf.robustness.soak import soak
from perf.robustness.soak.fault_injection import fault_injections
from perf.serving.deployment import Deployment

STUBS = {
    model: [f"/opt/{STUB}", "model.py", f"{model}_0_0", "0"]
    for model in ("rejection", "aegis", "tokenizer", "verdict")
}


class RecordedServer:
    """Records the faults instead of injecting them."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.processes: list[Counter[str]] = []
        self.files: list[bool] = []
        self.repository = Path()

    def kill(self, matches: Callable[[list[str]], bool]) -> None:
        (killed,) = [model for model, command in STUBS.items() if matches(command)]
        self.events.append(f"kill {killed}")
        self.files.append((self.repository / killed / "1" / "model.onnx").exists())

    def stop(self, stop_signal: int) -> None:
        self.events.append(f"stop {stop_signal}")

    def start(self) -> None:
        self.events.append("start")

    def overload(self, duration_s: float) -> None:
        self.events.append(f"overload {duration_s:.0f}")

    def model_processes(self) -> Counter[str]:
        return self.processes.pop(0)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedServer:
    recorded = RecordedServer()
    monkeypatch.setattr(time, "sleep", lambda seconds: recorded.events.append(f"wait {seconds:.1f}"))
    for model in STUBS:
        (tmp_path / "repository" / model / "1").mkdir(parents=True)
        (tmp_path / "repository" / model / "1" / "model.onnx").write_text("weights")
    recorded.repository = tmp_path / "repository"
    return recorded


def deployment_of(server: RecordedServer) -> Deployment:
    return Deployment(cast(Any, server), cast(Any, None))


def test_pairs_are_injected_in_their_order(server: RecordedServer) -> None:
    pairs = fault_injections(deployment_of(server), server.repository, cast(MixedLoad, server), "pairs")
    for inject in pairs.values():
        inject()
        server.events.append("-")
    assert " ".join(server.events).split(" - ") == [
        "kill rejection wait 0.3 kill aegis",
        "kill tokenizer wait 0.3 kill verdict",
        "kill aegis wait 6.0",
        "kill rejection overload 10",
        "kill aegis wait 1.3 stop 15 start -",
    ]


def test_a_model_that_cannot_be_loaded_has_no_files_and_gets_them_back(server: RecordedServer) -> None:
    pairs = fault_injections(deployment_of(server), server.repository, cast(MixedLoad, server), "pairs")
    pairs["`aegis` is killed and cannot be loaded for 6 s"]()
    assert server.files == [False]
    assert (server.repository / "aegis" / "1" / "model.onnx").read_text() == "weights"


def test_kinds_choose_the_faults(server: RecordedServer) -> None:
    def names(kinds: str) -> set[str]:
        load = cast(MixedLoad, server)
        return set(fault_injections(deployment_of(server), server.repository, load, kinds))

    assert names("single") | names("pairs") == names("all")
    assert not names("single") & names("pairs")


def test_a_server_is_back_only_with_all_its_processes(
    server: RecordedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete, one_short = Counter({"aegis": 2, "rejection": 2}), Counter({"aegis": 2, "rejection": 1})
    server.processes = [one_short, one_short, complete]
    monkeypatch.setattr(soak, "COMPLETE_VERDICTS", 0)
    client = cast(Any, type("Client", (), {"moderate": lambda *_, **__: answered()})())
    assert soak.recovery_s(client, deployment_of(server), complete) is not None
    assert server.processes == []


def answered() -> Any:
    toxicity = type("Toxicity", (), {"status": "answered"})
    return type("Verdict", (), {"toxicity": toxicity})
