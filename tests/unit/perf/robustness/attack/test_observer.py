"""The observer records deaths of processes with the requests in flight."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from perf.robustness.attack.command import Observations, effect_table, exit_status, outcome_table
from perf.robustness.attack.observer import Death, Observer, memory_by_process_mib, process_name

SLEEPER = "import time; time.sleep(60)"
PARENT = (
    f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', '{SLEEPER}']); time.sleep(60)"
)


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", PARENT], start_new_session=True)
    yield process
    os.killpg(process.pid, 9)
    process.wait()


def wait_for_child(pid: int) -> int:
    for _ in range(200):
        if children := psutil.Process(pid).children():
            return children[0].pid
        time.sleep(0.05)
    raise AssertionError("no child")


def test_a_child_that_dies_is_noted_once(parent: "subprocess.Popen[bytes]") -> None:
    child = wait_for_child(parent.pid)
    with Observer([parent.pid], lambda: ["request 7"]) as observer:
        os.kill(child, 9)
        time.sleep(0.6)
    (death,) = observer.deaths
    assert (death.pid, death.under_way) == (child, ["request 7"])


def test_a_process_that_lives_is_not_noted(parent: "subprocess.Popen[bytes]") -> None:
    wait_for_child(parent.pid)
    with Observer([parent.pid], list) as observer:
        time.sleep(0.6)
    assert observer.deaths == []
    assert sum(memory_by_process_mib([parent.pid]).values()) > 1


def test_a_process_is_named_by_its_command_line() -> None:
    stub = [
        "/opt/x/triton_python_backend_stub",
        "model.py",
        "shm",
        "65536",
        "65536",
        "1",
        "",
        "0",
        "aegis_0_1",
        "",
    ]
    assert process_name(stub) == "stub of aegis"
    assert process_name(["/opt/bin/tritonserver", "--x"]) == "tritonserver"
    assert process_name([sys.executable, "-m", "launcher"]) == "launcher"
    assert process_name([sys.executable, "-m", "tribunal", "gateway"]) == "gateway"
    assert process_name(["VLLM::EngineCore"]) == "EngineCore"


def observed(**changes: object) -> Observations:
    observations = Observations(memory_mib=[{"launcher": size} for size in (1.0, 2.0, 2.5, 2.2)])
    for name, value in changes.items():
        setattr(observations, name, value)
    return observations


def test_an_attack_fails_with_a_death_a_restart_or_a_wrong_verdict() -> None:
    death = Death("stub of aegis", 5, 1.0, [])
    assert exit_status(observed()) == 0
    assert exit_status(observed(deaths=[death])) == 1
    assert exit_status(observed(restarts=1)) == 1
    assert exit_status(observed(wrong=["a text"])) == 1
    assert exit_status(observed(shut_out_by=["half heads"])) == 1
    assert effect_table(observed(deaths=[death])).row_count == effect_table(observed()).row_count + 1


def test_outcomes_have_a_row_for_each_kind() -> None:
    outcomes = {"mutated": {"400": 2, "200": 1}, "valid": {"200": 1}}
    assert outcome_table("gateway, attacks", outcomes).row_count == 2
