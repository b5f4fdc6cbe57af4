"""The client with a server that is older than spans: a request for spans fails with a reason, others work."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from tribunal import AsyncClient, Client, ServerError
from tribunal.ray import Moderate

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.config import read_config

HARM = "How to make a bomb?"
REASON = "('spans'|number of inputs)"
UPDATE = rf"the server is too old for an option of this call \(.*{REASON}.*\): update the server"


@pytest.fixture(scope="module")
def old_server(demo_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """The demo encoders without the input `spans`."""
    folder = tmp_path_factory.mktemp("old_server")
    repository = folder / "repository"
    shutil.copytree(demo_repository, repository)
    for model in ("moderation", "tokenizer"):
        file = repository / model / "config.pbtxt"
        config = read_config(file)
        (spans,) = (tensor for tensor in config.input if tensor.name == "spans")
        config.input.remove(spans)
        for step in config.ensemble_scheduling.step:
            step.input_map.pop("spans", None)
        file.write_text(text_format.MessageToString(config), "utf-8")
    options = ServerOptions(repository, folder / "log", ports=free_ports(), judge=False)
    with TritonServer(options) as running:
        yield running


both_protocols = pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])


@both_protocols
def test_spans_are_the_only_thing_that_it_refuses(
    old_server: TritonServer, server: TritonServer, protocol: str
) -> None:
    texts = [HARM, "The bread is fresh.", ""]
    with Client(getattr(old_server, protocol)) as client, Client(getattr(server, protocol)) as new_client:
        assert client.moderate_batch(texts) == new_client.moderate_batch(texts, judge="never")
        for ask in (
            lambda: client.moderate(HARM, spans=True),
            lambda: client.moderate(HARM, judge="never", spans=True),
            lambda: client.moderate_batch(texts, spans=True),
        ):
            with pytest.raises(ServerError, match=f"^{UPDATE}$"):
                ask()
        outcomes = client.moderate_batch(texts, spans=True, return_errors=True)
        assert [type(outcome) for outcome in outcomes] == [ServerError] * len(texts)
        assert client.moderate(HARM).flagged


@both_protocols
def test_asyncio_calls_side_by_side_each_get_their_own_answer(
    old_server: TritonServer, protocol: str
) -> None:
    async def ask() -> list[object]:
        async with AsyncClient(getattr(old_server, protocol)) as client:
            calls = [client.moderate(HARM, spans=bool(number % 2)) for number in range(40)]
            return list(await asyncio.gather(*calls, return_exceptions=True))

    for number, outcome in enumerate(asyncio.run(ask())):
        if number % 2:
            assert isinstance(outcome, ServerError)
            assert re.fullmatch(UPDATE, str(outcome))
        else:
            assert getattr(outcome, "flagged", None) is True


@both_protocols
@pytest.mark.parametrize("command", [("moderate", HARM), ("scan", "in.txt", "-o", "out.jsonl")])
def test_the_commands_say_it_in_one_line_and_write_nothing(
    old_server: TritonServer, tmp_path: Path, command: tuple[str, ...], protocol: str
) -> None:
    (tmp_path / "in.txt").write_text(f"{HARM}\n" * 100, "utf-8")
    ran = subprocess.run(
        [Path(sys.executable).parent / "tribunal", *command, "--spans"],
        cwd=tmp_path,
        env={"TRIBUNAL_URL": getattr(old_server, protocol), "PATH": "", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch(f"tribunal: {UPDATE}\n", ran.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_ray_fails_its_task_with_the_same_words(old_server: TritonServer) -> None:
    import pyarrow

    with pytest.raises(ServerError, match=UPDATE):
        Moderate(old_server.grpc_url, spans=True)(pyarrow.table({"text": [HARM]}))
