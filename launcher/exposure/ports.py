"""The ports of a server: which are free, and whether something listens on them."""

import contextlib
import errno
import socket
from dataclasses import dataclass

from launcher import StartError
from launcher.exposure.addresses import LOOPBACK, ON_LOOPBACK, Exposure


@dataclass(frozen=True)
class Ports:
    """TCP ports of the three endpoints."""

    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002


def require_free(ports: Ports, exposure: Exposure = ON_LOOPBACK) -> None:
    """Raise StartError that names each endpoint whose port is in use or cannot be opened."""
    taken = []
    for name, port in vars(ports).items():
        address = exposure.listens_on(name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                option = "address" if error.errno == errno.EADDRNOTAVAIL else f"{name}-port"
                taken.append(f"{address} port {port} ({error.strerror}; choose another with --{option})")
    if taken:
        raise StartError(f"cannot listen on {', '.join(taken)}")


def listening(ports: Ports, exposure: Exposure = ON_LOOPBACK) -> bool:
    """Whether something accepts connections on every endpoint."""
    try:
        for name, port in vars(ports).items():
            socket.create_connection((exposure.reached_at(name), port), timeout=1.0).close()
    except OSError:
        return False
    return True


def free_ports() -> Ports:
    """Three ports that are free now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind((str(LOOPBACK), 0))
        http, grpc, metrics = (probe.getsockname()[1] for probe in probes)
    return Ports(http=http, grpc=grpc, metrics=metrics)
