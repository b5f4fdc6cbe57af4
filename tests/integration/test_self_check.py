"""The launcher asks a real server for the export's reference scores, and serves no others."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import psutil
import pytest
import requests
from onnx import numpy_helper
from tribunal import Client, SelfCheck

from launcher.exposure.ports import free_ports, require_free
from launcher.options import ServerOptions
from launcher.process.self_check import SelfCheckError
from launcher.process.server import TritonServer
from launcher.recovery.events import read_events
from launcher.recovery.processes import STUB, ServerProcesses, model_of
from launcher.repository.manifest import LABELS, read_manifest, write_manifest
from tests.integration.conftest import export
from tests.integration.launching import (
    READY_TIMEOUT_S,
    launch,
    left_running,
    shared_memory,
    vouch_for,
    wait_until_ready,
)
from tests.integration.metrics import scrape, value

Floats = npt.NDArray[np.float32]
Break = Callable[[onnx.ModelProto], None]
METRIC = "tribunal_self_check_score_difference"


@pytest.fixture
def repository(demo_repository: Path, tmp_path: Path) -> Path:
    """A copy of the demo repository, to be broken."""
    copy = tmp_path / "repository"
    shutil.copytree(demo_repository, copy)
    return copy


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """`graph` and the graphs in its nodes, such as the body of a loop."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def change_weights(model: onnx.ModelProto, ending: str, change: Callable[[Floats], None]) -> None:
    weights = (tensor for part in graphs(model.graph) for tensor in part.initializer)
    (tensor,) = (tensor for tensor in weights if tensor.name.endswith(ending))
    values = numpy_helper.to_array(tensor).copy()
    change(values)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def change_one_weight(model: onnx.ModelProto) -> None:
    def change(weights: Floats) -> None:
        weights[3, 7] += 0.05

    change_weights(model, "classifier.weight", change)


def approximate_an_operator(model: onnx.ModelProto) -> None:
    """Let the first GELU use the approximation by tanh."""
    node = next(node for part in graphs(model.graph) for node in part.node if node.op_type == "BiasGelu")
    node.op_type = "FastGelu"


def exchange_two_labels(model: onnx.ModelProto) -> None:
    def exchange(values: Floats) -> None:
        values[[2, 3]] = values[[3, 2]]

    for ending in ("classifier.weight", "classifier.bias"):
        change_weights(model, ending, exchange)


def break_graph(path: Path, change: Break) -> None:
    """Replace the graph `path`, which a server may have mapped."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def refusal(launcher: "subprocess.Popen[str]") -> str:
    """The one line that a launcher which refuses to serve ends with."""
    _, messages = launcher.communicate(timeout=READY_TIMEOUT_S)
    assert launcher.returncode == 1
    assert "Traceback" not in messages
    (line,) = [line for line in messages.splitlines() if line.startswith("Refused to serve:")]
    assert messages.splitlines()[-1] == line
    return line


def kinds(events: Path) -> list[tuple[str, str | None]]:
    return [(event["event"], event.get("model")) for event in read_events(events)]


def break_what_is_served(repository: Path) -> None:
    """Replace the graph of aegis that is packed for this host by another one."""
    model = onnx.load(repository / "aegis" / "1" / "model.onnx")
    change_one_weight(model)
    onnx.save(model, repository / "aegis" / "1" / "new.onnx")
    (repository / "aegis" / "1" / "new.onnx").replace(repository / "aegis" / "1" / "local.onnx")


def kill_a_process_of(launcher: "subprocess.Popen[str]", model: str) -> None:
    for process in psutil.Process(launcher.pid).children(recursive=True):
        command = process.cmdline()
        if command and command[0].endswith(STUB) and model_of(command[-2]) == model:
            process.kill()
            return
    raise AssertionError(f"{model} has no process")


def test_what_it_found_is_in_the_banner_the_info_and_a_metric(demo_repository: Path, tmp_path: Path) -> None:
    ports = free_ports()
    with launch(demo_repository, ports, tmp_path / "log", "--without-judge") as launcher:
        banner = wait_until_ready(launcher, ports)
        found = r"largest difference \S+ \((rejection|aegis)\), \S+ \(\w+\)"
        assert re.search(rf"  self-check: 16 texts a model, {found}\n", banner)
        with Client(f"127.0.0.1:{ports.grpc}") as client:
            checks = client.info().self_checks
        table = subprocess.run(
            [Path(sys.executable).with_name("tribunal"), "info", "--url", f"127.0.0.1:{ports.grpc}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert checks.keys() == {"rejection", "aegis"}
    for check in checks.values():
        assert check == SelfCheck(16, check.score_difference, 1e-4)
        assert 0 <= check.score_difference < 1e-5
    assert re.search(r"self-check of aegis\W+16 texts, largest difference \S+, tolerance 0.0001", table)


def test_the_metric_is_the_difference_of_each_encoder(server: TritonServer) -> None:
    samples = scrape(server)
    for model, outcome in server.self_check.outcomes.items():
        assert value(samples, METRIC, model=model) == pytest.approx(outcome.score_difference)
    assert {dict(labels)["model"] for name, labels in samples if name == METRIC} == {"rejection", "aegis"}


@pytest.mark.parametrize("precision", ["int8"])
def test_another_precision_passes(precision: str, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    export("demo", repository, "--models", "rejection", "aegis", "--precision", precision)
    options = ServerOptions(repository, tmp_path / "log", ports=free_ports(), judge=False)
    with TritonServer(options) as server:
        outcomes = server.self_check.outcomes
    assert outcomes.keys() == {"rejection", "aegis"}
    assert all(outcome.score_difference < outcome.tolerance / 2 for outcome in outcomes.values())


@pytest.mark.parametrize("change", [change_one_weight, approximate_an_operator, exchange_two_labels])
def test_a_changed_graph_is_refused_and_nothing_is_left(
    repository: Path, tmp_path: Path, change: Break
) -> None:
    break_graph(repository / "aegis" / "1" / "model.onnx", change)
    vouch_for(repository, "aegis/1/model.onnx")
    before, ports, events = shared_memory(), free_ports(), tmp_path / "events.jsonl"
    with launch(repository, ports, tmp_path / "log", "--without-judge", "--events", str(events)) as launcher:
        line = refusal(launcher)
    assert re.search(
        r"aegis computes other scores than PyTorch at the export: .+ of a known text differs by \S+, "
        r"the tolerance is 0\.0001\. Export the model again",
        line,
    )
    assert kinds(events) == [("refused", "aegis")]
    assert not shared_memory() - before
    require_free(ports)
    assert (tmp_path / "log").read_text("utf-8").count("successfully loaded 'moderation'") == 1


def test_labels_in_another_order_are_refused(repository: Path, tmp_path: Path) -> None:
    labels = (repository / LABELS).read_text("utf-8").splitlines()
    labels[0], labels[-1] = labels[-1], labels[0]
    (repository / LABELS).write_text("\n".join(labels) + "\n", "utf-8")
    manifest = read_manifest(repository)
    manifest["models"]["aegis"]["labels"] = labels
    write_manifest(repository, manifest)
    options = ServerOptions(repository, tmp_path / "log", ports=free_ports(), judge=False)
    with pytest.raises(SelfCheckError, match="aegis computes other scores"), TritonServer(options):
        pass


@pytest.mark.parametrize("options", [(), ("--cache-mib", "8")], ids=["without a cache", "with a cache"])
def test_a_graph_that_changes_while_it_serves_is_refused_when_it_is_loaded_again(
    repository: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    before, ports, events = shared_memory(), free_ports(), tmp_path / "events.jsonl"
    command = [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(1000)"]
    with launch(
        repository,
        ports,
        tmp_path / "log",
        *("--without-judge", "--events", str(events), *options, "--", *command),
    ) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "started\n"
        break_what_is_served(repository)
        family = psutil.Process(launcher.pid).children(recursive=True)
        kill_a_process_of(launcher, "aegis")
        assert "aegis computes other scores" in refusal(launcher)
    assert kinds(events) == [("ready", None), ("lost", "aegis"), ("refused", "aegis")]
    assert left_running(family) == []
    assert not shared_memory() - before
    require_free(ports)
    assert (tmp_path / "log").read_text("utf-8").count("successfully loaded 'moderation'") == 2


def test_a_graph_that_changes_is_refused_after_a_crash_of_tritonserver(
    repository: Path, tmp_path: Path
) -> None:
    ports, events = free_ports(), tmp_path / "events.jsonl"
    with launch(repository, ports, tmp_path / "log", "--without-judge", "--events", str(events)) as launcher:
        wait_until_ready(launcher, ports)
        break_graph(repository / "aegis" / "1" / "model.onnx", change_one_weight)
        vouch_for(repository, "aegis/1/model.onnx")
        (triton,) = psutil.Process(launcher.pid).children()
        family = triton.children(recursive=True)
        os.kill(triton.pid, signal.SIGSEGV)
        assert "aegis computes other scores" in refusal(launcher)
    assert kinds(events) == [("ready", None), ("restarting", None), ("refused", "aegis")]
    assert left_running(family) == []


def test_an_encoder_that_is_restored_is_checked_again(repository: Path, tmp_path: Path) -> None:
    ports, events = free_ports(), tmp_path / "events.jsonl"
    with launch(repository, ports, tmp_path / "log", "--without-judge", "--events", str(events)) as launcher:
        wait_until_ready(launcher, ports)
        kill_a_process_of(launcher, "rejection")
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while ("restored", "rejection") not in kinds(events):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        with Client(f"127.0.0.1:{ports.grpc}") as client:
            assert client.moderate("I could strangle him", judge="never").flagged
            assert client.info().self_checks.keys() == {"rejection", "aegis"}


def test_a_repository_without_references_serves_and_names_the_command(
    repository: Path, tmp_path: Path
) -> None:
    manifest = read_manifest(repository)
    del manifest["models"]["aegis"]["self_check"]
    write_manifest(repository, manifest)
    ports = free_ports()
    with launch(repository, ports, tmp_path / "log", "--without-judge") as launcher:
        banner = wait_until_ready(launcher, ports)
        with Client(f"127.0.0.1:{ports.grpc}") as client:
            assert client.info().self_checks.keys() == {"rejection"}
    command = f"--source demo --models aegis --precision fp32 --repository {repository}"
    assert "self-check: 16 texts a model, largest difference" in banner
    assert "nothing to check aegis against, because the manifest has no references" in banner
    assert f"Export again: python -m export_scripts {command}" in banner


def test_no_model_is_started_twice(repository: Path, tmp_path: Path) -> None:
    for cache in list(repository.rglob("__pycache__")):
        shutil.rmtree(cache)
    options = ServerOptions(repository, tmp_path / "log", ports=free_ports(), judge=False, instances=1)
    with TritonServer(options) as server, Client(server.grpc_url) as client:
        assert not client.moderate("The bread is fresh.", judge="never").flagged
        stubs = ServerProcesses(server.pid, server.models).stubs()
    assert sorted(stubs.values()) == ["aegis", "manifest", "rejection", "tokenizer", "verdict"]


def test_callers_get_the_outcome_and_not_the_references(server: TritonServer) -> None:
    assert "input_ids" in json.dumps(read_manifest(server.repository))
    answer = requests.post(f"{server.http_url}/v2/models/manifest/infer", json={"inputs": []}, timeout=10)
    (manifest,) = answer.json()["outputs"][0]["data"]
    assert "input_ids" not in manifest
    assert json.loads(manifest)["models"]["aegis"]["self_check"]["texts"] == 16
    assert "self_check" not in json.loads(manifest)["models"]["judge"]
