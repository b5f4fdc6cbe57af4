"""What must hold before a server can start, and the ports on which one can, or does."""

import contextlib
import errno
import socket
from pathlib import Path

from local_server.command import Ports
from local_server.errors import StartError
from local_server.exposure import LOOPBACK, ON_LOOPBACK, Exposure
from local_server.tuning import JUDGE_ENVIRONMENT


def require_exported(repository: Path) -> None:
    """Raise StartError unless `repository` is a model repository with the export's manifest."""
    if not (repository / "moderation" / "config.pbtxt").exists():
        raise StartError(f"{repository} is no model repository of Tribunal: check --repository")
    if not (repository / "manifest" / "1" / "manifest.json").exists():
        raise StartError(
            f"{repository} holds no exported models: run `make export SOURCE=demo`, or SOURCE=hub for "
            "the real members"
        )


def require_judge_environment() -> None:
    """Raise StartError unless the environment that runs vLLM was made."""
    if not (JUDGE_ENVIRONMENT / "bin" / "activate").exists():
        raise StartError(f"{JUDGE_ENVIRONMENT}, where vLLM runs, is missing: run `make setup`")


def require_free(ports: Ports, exposure: Exposure = ON_LOOPBACK) -> None:
    """Raise StartError that names each endpoint which something else listens on, or nothing can."""
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
    """Three ports that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind((str(LOOPBACK), 0))
        http, grpc, metrics = (probe.getsockname()[1] for probe in probes)
    return Ports(http=http, grpc=grpc, metrics=metrics)
