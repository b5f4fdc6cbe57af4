"""Runs a gateway: HTTP, gRPC and metrics in one event loop, until SIGTERM or SIGINT."""

import asyncio
import contextlib
import ctypes
import logging
import resource
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from prometheus_client import start_http_server

from tribunal.gateway.admission.http_protocol import MAX_CONNECTIONS, BoundedProtocol
from tribunal.gateway.app import application
from tribunal.gateway.protocols.kserve_grpc import grpc_server
from tribunal.gateway.settings import DEFAULT_KEEP_ALIVE_S, GatewaySettings
from tribunal.gateway.state import GatewayState

log = logging.getLogger("tribunal.gateway")
# Longer than the default deadline of a request.
STOP_TIMEOUT_S = 35
# Connections that wait to be accepted; uvicorn's default.
BACKLOG = 2048
# Of glibc's <malloc.h>: https://man7.org/linux/man-pages/man3/mallopt.3.html
M_ARENA_MAX = -8


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where the gateway listens; a port that is None is not opened.

    keep_alive_s: for so long an idle connection stays open after an answer.
    """

    host: str
    port: int
    grpc_port: int | None
    metrics_port: int | None
    keep_alive_s: int = DEFAULT_KEEP_ALIVE_S


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process before gRPC has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`."""
        yield


async def serve(settings: GatewaySettings, listening: Listening) -> None:
    """Serve until SIGTERM or SIGINT, then drain requests in flight and return.

    Raises InvalidInput if a file of the settings is invalid, OSError if a port is taken.
    """
    _allow_open_files()
    _share_memory_arenas()
    gateway = GatewayState(settings)
    config = uvicorn.Config(
        application(gateway),
        log_config=None,
        access_log=False,
        server_header=False,
        http=BoundedProtocol,
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=listening.keep_alive_s,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )
    http = HttpServer(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, gateway.reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(gateway.triton.close)
        stack.push_async_callback(gateway.moderator.drain)
        following = asyncio.create_task(gateway.moderator.follow_server())
        stack.callback(following.cancel)
        if listening.metrics_port is not None:
            server, thread = start_http_server(
                listening.metrics_port, listening.host, registry=gateway.metrics.registry
            )
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        rpc = None
        if listening.grpc_port is not None:
            rpc = grpc_server(
                gateway, address(listening.host, listening.grpc_port), config.forwarded_allow_ips
            )
            rpc.start()
        listener = stack.enter_context(_listener(listening.host, listening.port))
        serving = asyncio.create_task(http.serve(sockets=[listener]))
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        gateway.moderator.stop()
        http.should_exit = True
        stopped.cancel()
        rpc_stopped = asyncio.to_thread(rpc.stop(STOP_TIMEOUT_S).wait) if rpc else asyncio.sleep(0)
        await asyncio.gather(serving, rpc_stopped)


def address(host: str, port: int) -> str:
    """`host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _allow_open_files() -> None:
    """Raise this process's limit on open files to the hard limit; each connection is an open file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _share_memory_arenas() -> None:
    """Let all threads share two glibc arenas, because each arena keeps the memory of its largest request."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_ARENA_MAX, 2)


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket; raises OSError, on which uvicorn itself would end the process."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # Connections inherit it. Without it the second part of a response waits for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
