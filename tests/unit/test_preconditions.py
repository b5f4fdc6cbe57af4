"""What a local server checks before it starts."""

import socket
from pathlib import Path

import pytest

from export_scripts.members import MODEL_REPOSITORY
from local_server.command import Ports
from local_server.errors import StartError
from local_server.preconditions import free_ports, listening, require_exported, require_free
from local_server.server import last_error, one_line


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"no model repository.*--repository"):
        require_exported(tmp_path)


def test_a_repository_that_was_not_exported(tmp_path: Path) -> None:
    (tmp_path / "moderation").mkdir()
    (tmp_path / "moderation" / "config.pbtxt").write_bytes(
        (MODEL_REPOSITORY / "moderation" / "config.pbtxt").read_bytes()
    )
    with pytest.raises(StartError, match="holds no exported models: run `make export"):
        require_exported(tmp_path)


def test_every_taken_port_is_named_with_its_option() -> None:
    with socket.socket() as grpc, socket.socket() as metrics:
        for taken in (grpc, metrics):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        ports = Ports(http=free_ports().http, grpc=grpc.getsockname()[1], metrics=metrics.getsockname()[1])
        with pytest.raises(StartError, match=rf"{ports.grpc}.*--grpc-port.*{ports.metrics}.*--metrics-port"):
            require_free(ports)


def test_free_ports_are_free_and_differ() -> None:
    ports = free_ports()
    assert not listening(ports)
    require_free(ports)
    assert len({ports.http, ports.grpc, ports.metrics}) == 3


def test_a_reason_comes_to_its_first_line() -> None:
    assert one_line("\n ValueError: no\n\nAt:\n  model.py(3)") == "ValueError: no"
    assert one_line("") == "no reason given"


def test_the_last_error_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("I1 fine\nE1 first\nE2 second\nI2 bye\n")
    assert last_error(log) == "E2 second"
    log.write_text("")
    assert last_error(log) == "it wrote no log"
