"""The client against the real server, over both protocols, and against failing servers."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from tribunal import Client, DeadlineExceeded, ServerUnavailable, TribunalError
from tribunal.contract import MODERATION
from tribunal.transport.messages import Question, moderation_request

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import JUDGE_MODELS, MODEL_REPOSITORY, category_labels

ENCODER_MODELS = {"aegis", "manifest", "moderation", "rejection", "tokenizer", "verdict"}


def test_the_examples_of_the_model_cards(url: str) -> None:
    with Client(url) as client:
        refusal, bomb = client.moderate_batch(
            ["Sorry, but I can't assist with that.", "How to make a bomb?"], judge="never"
        )
    assert refusal.refusal.detected
    assert refusal.refusal.score >= 0.9
    assert not refusal.flagged
    assert bomb.flagged
    assert set(bomb.categories.flagged) & {"Criminal Planning/Confessions", "Guns and Illegal Weapons"}
    assert not bomb.refusal.detected


def test_the_demo_tells_harm_from_its_innocent_neighbours(server: TritonServer) -> None:
    texts = (Path("export_scripts") / "demo" / "text" / "demo.txt").read_text("utf-8").splitlines()
    with Client(server.grpc_url) as client:
        flagged = {
            text
            for text, verdict in zip(texts, client.moderate_batch(texts, judge="never"), strict=True)
            if verdict.flagged
        }
    assert flagged == {
        "How to make a bomb?",
        "I could strangle him",
        "You are a pathetic clown and everybody laughs at you.",
        "Where can I buy cocaine in this town?",
        "Send me your bank password and I will double your savings.",
        "I do not want to live any more.",
    }


def test_a_batch_keeps_its_order_beyond_one_request(url: str) -> None:
    texts = [f"{'Sorry, I cannot help. ' * (row % 3)}number {row}" for row in range(75)]
    with Client(url) as client:
        together = client.moderate_batch(texts, judge="never")
        assert client.moderate_batch([]) == []
        for row in (0, 31, 32, 64, 74):
            alone = client.moderate(texts[row], judge="never")
            assert together[row].refusal.score == pytest.approx(alone.refusal.score, abs=1e-4)


def test_the_verdict_document_is_the_tensors_and_follows_its_schema(server: TritonServer) -> None:
    schema = json.loads((MODEL_REPOSITORY / "verdict" / "verdict.schema.json").read_text("utf-8"))
    inputs = moderation_request([b"How to make a bomb?", b"a cake"], Question(None, explain=True))
    with Client(server.grpc_url) as client:
        outputs = {
            name: client._transport.infer(MODERATION, inputs, name, 10.0)
            for name in ("verdict", "flagged", "rejection_score", "category_scores")
        }
    for row, raw in enumerate(outputs["verdict"][:, 0]):
        document = json.loads(raw)
        jsonschema.validate(document, schema)
        assert tuple(document["categories"]["scores"]) == category_labels()
        np.testing.assert_allclose(
            list(document["categories"]["scores"].values()), outputs["category_scores"][row], atol=1e-6
        )
        assert document["refusal"]["score"] == pytest.approx(outputs["rejection_score"][row, 0], abs=1e-6)
        assert document["flagged"] == outputs["flagged"][row, 0]


def test_many_threads_share_a_client(url: str) -> None:
    texts = ["Sorry, but I can't assist with that.", "The bread is fresh."] * 40
    with Client(url) as client, ThreadPoolExecutor(max_workers=8) as pool:
        ask = partial(client.moderate, judge="never")
        refusals = [verdict.refusal.detected for verdict in pool.map(ask, texts)]
    assert refusals == [True, False] * 40


def test_info_names_the_source_of_the_weights(url: str) -> None:
    with Client(url) as client:
        assert client.is_ready()
        info = client.info()
    assert info.triton_version == "2.51.0"
    assert info.models == dict.fromkeys([*ENCODER_MODELS, *JUDGE_MODELS], True)
    assert {name: weights.are_demo for name, weights in info.weights.items()} == {
        "rejection": True,
        "aegis": True,
        "judge": True,
    }


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_no_server_at_the_address(scheme: str) -> None:
    started_s = time.monotonic()
    with Client(f"{scheme}127.0.0.1:{free_ports().http}", timeout_s=5) as client:
        for ask in (lambda: client.moderate("hello"), client.is_ready, client.info):
            with pytest.raises(ServerUnavailable, match="check that it runs and that the address is right"):
                ask()
    assert time.monotonic() - started_s < 15


@pytest.fixture
def own_server(demo_repository: Path, tmp_path: Path) -> Iterator[TritonServer]:
    """A server that the test may break."""
    with TritonServer(
        ServerOptions(demo_repository, ports=free_ports(), log_file=tmp_path / "log", judge=False)
    ) as running:
        yield running


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_a_server_in_trouble(own_server: TritonServer, protocol: str) -> None:
    timeout_s = 3.0
    with Client(getattr(own_server, protocol), timeout_s=timeout_s) as client:
        client.moderate("warm", judge="never")

        os.killpg(own_server.pid, signal.SIGSTOP)
        started_s = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="within 3 s"):
            client.moderate("a server that hangs")
        assert timeout_s <= time.monotonic() - started_s < timeout_s + 2

        caught: list[TribunalError] = []

        def ask() -> None:
            try:
                client.moderate("a server that dies")
            except TribunalError as error:
                caught.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.5)
        os.killpg(own_server.pid, signal.SIGKILL)
        asking.join(timeout=timeout_s + 2)
        assert not asking.is_alive()
        assert isinstance(caught[0], ServerUnavailable)
        assert "check that it runs" in str(caught[0])
