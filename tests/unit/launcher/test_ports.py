"""Ports of a server."""

import socket

import pytest

from launcher import StartError
from launcher.exposure.ports import Ports, free_ports, listening, require_free


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
