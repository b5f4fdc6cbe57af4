"""`python -m launcher` as a process: start, stop, and refusals to start."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
from tribunal import Client, Connection, ServerUnavailable

from launcher.exposure.ports import free_ports, require_free
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.launching import (
    READY_TIMEOUT_S,
    launch,
    left_running,
    refused,
    shared_memory,
    vouch_for,
    wait_until_ready,
)


@pytest.mark.parametrize(
    ("stop", "options"),
    [(signal.SIGTERM, []), (signal.SIGINT, ["--without-judge"])],
    ids=["SIGTERM with the judge", "Ctrl-C"],
)
def test_a_stopped_server_leaves_nothing_and_starts_again(
    demo_repository: Path, tmp_path: Path, stop: signal.Signals, options: list[str]
) -> None:
    ports = free_ports()
    before = shared_memory()
    for _ in range(2):
        with launch(demo_repository, ports, tmp_path / "log", *options) as launcher:
            banner = wait_until_ready(launcher, ports)
            assert re.search(r"aegis: demo \(fp32\), for demonstration only", banner)
            assert f"gRPC 127.0.0.1:{ports.grpc}" in banner
            family = psutil.Process(launcher.pid).children(recursive=True)
            assert len(family) > 5
            assert shared_memory() - before
            launcher.send_signal(stop)
            assert launcher.wait(timeout=30) == 0
        assert left_running(family) == []
        assert not shared_memory() - before
        require_free(ports)
    assert "successfully loaded 'moderation'" in (tmp_path / "log").read_text("utf-8")


def triton(launcher: subprocess.Popen[str]) -> psutil.Process:
    """The tritonserver that a launcher runs."""
    (process,) = psutil.Process(launcher.pid).children()
    return process


def test_a_server_that_crashes_is_started_again_after_a_growing_pause(
    demo_repository: Path, tmp_path: Path
) -> None:
    ports = free_ports()
    before = shared_memory()
    with launch(demo_repository, ports, tmp_path / "log", "--without-judge") as launcher:
        wait_until_ready(launcher, ports)
        for pause_s in (1, 2, 4):
            family = triton(launcher).children(recursive=True)
            triton(launcher).send_signal(signal.SIGSEGV)
            messages = wait_until_ready(launcher, ports)
            assert f"ended by itself with status -11; restarting in {pause_s} s" in messages
            assert left_running(family) == []
        triton(launcher).send_signal(signal.SIGSEGV)
        assert launcher.stderr is not None
        assert "restarting in 8 s" in launcher.stderr.readline()
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(timeout=5) == 0
    assert (tmp_path / "log").read_text("utf-8").count("Started GRPCInferenceService") == 4
    assert not shared_memory() - before


def test_what_a_killed_launcher_leaves_is_removed_by_the_next(demo_repository: Path, tmp_path: Path) -> None:
    before = shared_memory()
    options = ["--without-judge", "--work-folder", str(tmp_path / "work")]
    ports = free_ports()
    with launch(demo_repository, ports, tmp_path / "log", *options) as launcher:
        wait_until_ready(launcher, ports)
        orphan = triton(launcher)
        launcher.kill()
    with launch(demo_repository, other_ports := free_ports(), tmp_path / "log", *options) as launcher:
        wait_until_ready(launcher, other_ports)
        with Client(f"127.0.0.1:{ports.grpc}") as client:
            assert client.moderate("hello", judge="never").flagged is False, "a run that goes on was removed"
        os.killpg(orphan.pid, signal.SIGKILL)
        orphan.wait()
    assert len(list((tmp_path / "work").glob("tribunal-*"))) == 1
    assert shared_memory() - before
    with launch(demo_repository, ports, tmp_path / "log", *options) as launcher:
        wait_until_ready(launcher, ports)
        launcher.terminate()
        assert launcher.wait(timeout=30) == 0
    assert not list((tmp_path / "work").glob("tribunal-*"))
    assert not shared_memory() - before


def test_nothing_is_left_in_the_folder_for_temporary_files(
    demo_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        environments: set[Path] = set()
        for is_killed in (True, False):
            ports = free_ports()
            with launch(demo_repository, ports, tmp_path / "log") as launcher:
                wait_until_ready(launcher, ports)
                (noted,) = Path(folder).glob("tribunal-*/python_environments")
                environments |= {Path(name) for name in noted.read_text("utf-8").splitlines()}
                if is_killed:
                    server = triton(launcher)
                    launcher.kill()
                    os.killpg(server.pid, signal.SIGKILL)
                    server.wait()
                else:
                    launcher.terminate()
                    assert launcher.wait(timeout=60) == 0
        assert list(Path(folder).iterdir()) == []
    assert environments
    assert not any(environment.exists() for environment in environments)


@pytest.mark.parametrize("scheme", ["", "http://"], ids=["gRPC", "HTTP"])
def test_a_server_that_is_stopped_answers_what_it_has_taken_on(
    demo_repository: Path, tmp_path: Path, scheme: str
) -> None:
    ports = free_ports()
    answers: Counter[str] = Counter()

    def ask_until_it_is_gone() -> None:
        with Client(url, connection=Connection(retries=0)) as client:
            while True:
                try:
                    client.moderate("How to make a bomb?", judge="never")
                except ServerUnavailable:
                    answers["gone"] += 1
                    return
                answers["answered"] += 1

    url = f"{scheme}127.0.0.1:{ports.http if scheme else ports.grpc}"
    with (
        launch(demo_repository, ports, tmp_path / "log", "--without-judge") as launcher,
        ThreadPoolExecutor(8) as callers,
    ):
        wait_until_ready(launcher, ports)
        asking = [callers.submit(ask_until_it_is_gone) for _ in range(8)]
        while answers["answered"] < 100:
            time.sleep(0.01)
        launcher.send_signal(signal.SIGTERM)
        for caller in asking:
            caller.result(timeout=READY_TIMEOUT_S)
        assert launcher.wait(timeout=30) == 0
    assert answers["gone"] == 8
    log = (tmp_path / "log").read_text("utf-8")
    assert "successfully unloaded 'tokenizer'" in log
    assert not re.search(r"has [1-9]\d* in-flight", log)


def test_stopped_while_it_starts(demo_repository: Path, tmp_path: Path) -> None:
    with launch(demo_repository, free_ports(), tmp_path / "log") as launcher:
        while not psutil.Process(launcher.pid).children():
            time.sleep(0.05)
        family = psutil.Process(launcher.pid).children(recursive=True)
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(timeout=30) == 0
    assert left_running(family) == []


def test_a_command_runs_against_the_server_and_its_status_is_passed_on(
    demo_repository: Path, tmp_path: Path
) -> None:
    command = "import os, sys; print(os.environ['TRIBUNAL_URL']); sys.exit(3)"
    ports = free_ports()
    with launch(
        demo_repository, ports, tmp_path / "log", "--without-judge", "--", sys.executable, "-c", command
    ) as launcher:
        printed, _ = launcher.communicate(timeout=READY_TIMEOUT_S)
    assert printed == f"127.0.0.1:{ports.grpc}\n"
    assert launcher.returncode == 3


def test_a_taken_port(demo_repository: Path, tmp_path: Path) -> None:
    ports = free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.grpc))
        taken.listen()
        assert f"port {ports.grpc} (Address already in use; choose another with --grpc-port)" in refused(
            demo_repository, ports, tmp_path
        )


def test_a_repository_without_exports(tmp_path: Path) -> None:
    (tmp_path / "moderation").mkdir()
    (tmp_path / "moderation" / "config.pbtxt").touch()
    assert "run `make export SOURCE=demo`" in refused(tmp_path, free_ports(), tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("aegis/1/model.onnx", "not a model", r"aegis/1/model.onnx cannot be read: .*export it again"),
        ("tokenizer/1/rejection.json", "{", "tokenizer: .*EOF while parsing"),
        (
            "verdict/labels.txt",
            "One\nTwo\n",
            "labels.txt does not name the 14 categories that aegis was exported with",
        ),
        ("phi3/1/model.json", '{"model": "/nowhere"}', "phi3: .*/nowhere"),
        ("verdict/config.pbtxt", "no config", r"verdict/config\.pbtxt is malformed: 1:1"),
    ],
)
def test_a_model_that_cannot_load_gives_its_own_reason(
    demo_repository: Path, tmp_path: Path, file: str, content: str, reason: str
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(demo_repository, repository)
    (repository / file).write_text(content)
    vouch_for(repository, file)
    before = shared_memory()
    options = [] if file.startswith("phi3") else ["--without-judge"]
    assert re.search(reason, refused(repository, free_ports(), tmp_path, *options))
    assert not shared_memory() - before


def test_the_cache_answers_repeated_texts_and_mixes_up_nothing(demo_repository: Path, tmp_path: Path) -> None:
    def hits() -> float:
        lines = requests.get(server.metrics_url, timeout=10).text.splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith("nv_cache_num_hits_per_model")
        )

    texts = ["How to make a bomb?", "How to make a cake?", "Sorry, but I can't assist with that."]
    with (
        TritonServer(
            ServerOptions(
                demo_repository,
                ports=free_ports(),
                log_file=tmp_path / "tritonserver.log",
                judge=False,
                cache_mib=8,
            )
        ) as server,
        Client(server.grpc_url) as client,
    ):
        first = [client.moderate(text, judge="never") for text in texts]
        assert hits() == 0
        assert [client.moderate(text, judge="never") for text in texts] == first
        assert hits() == 2 * len(texts)
        unexplained = client.moderate(texts[1], judge="never", explain=False)
        assert hits() == 2 * len(texts) + 2
    assert unexplained == first[1]
    assert len({str(verdict.categories.scores) for verdict in first}) == len(texts)


def test_the_tracked_configs_load_as_they_are(demo_repository: Path, tmp_path: Path) -> None:
    with (
        TritonServer(
            ServerOptions(
                demo_repository, ports=free_ports(), log_file=tmp_path / "log", judge=False, config="tracked"
            )
        ) as server,
        Client(server.grpc_url) as client,
    ):
        assert client.moderate("How to make a bomb?", judge="never").flagged
