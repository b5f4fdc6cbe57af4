"""Runs a gateway: HTTP, gRPC and metrics in one event loop, until SIGTERM or SIGINT."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import grpc
import uvicorn
from prometheus_client import start_http_server
from tritonclient.grpc import service_pb2_grpc

from tribunal.gateway.app import Gateway
from tribunal.gateway.grpc_service import GrpcService
from tribunal.gateway.settings import GatewaySettings

log = logging.getLogger("tribunal.gateway")
# Longer than the default deadline of a request.
STOP_TIMEOUT_S = 35
# Of idle connections and streams too; more are refused.
MAX_CONNECTIONS = 4096
MAX_GRPC_CALLS = 2048


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where the gateway listens; a port that is None is not opened."""

    host: str
    port: int
    grpc_port: int | None
    metrics_port: int | None


class HttpServer(uvicorn.Server):
    """uvicorn, which otherwise ends the process on a signal before gRPC has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`."""
        yield


async def serve(settings: GatewaySettings, listening: Listening) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is under way and end.

    Raises InvalidInput for a fault in the settings' files, OSError for a port that is taken.
    """
    gateway = Gateway(settings)
    config = uvicorn.Config(
        gateway.app,
        host=listening.host,
        port=listening.port,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
        h11_max_incomplete_event_size=64 * 1024,
    )
    http = HttpServer(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, gateway.reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(gateway.client.close)
        if listening.metrics_port is not None:
            server, thread = start_http_server(
                listening.metrics_port, listening.host, registry=gateway.metrics.registry
            )
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        if listening.grpc_port is not None:
            await stack.enter_async_context(_grpc(gateway, f"{listening.host}:{listening.grpc_port}"))
        serving = asyncio.create_task(http.serve())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        gateway.moderator.stop()
        http.should_exit = True
        stopped.cancel()
        await serving


@contextlib.asynccontextmanager
async def _grpc(gateway: Gateway, address: str) -> AsyncIterator[None]:
    """gRPC at `address`; at the end it answers what is under way."""
    size = gateway.settings.max_body_bytes
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", size), ("grpc.so_reuseport", 0)],
        maximum_concurrent_rpcs=MAX_GRPC_CALLS,
    )
    service = GrpcService(gateway.moderator, gateway.doorkeeper, lambda: gateway.policies, gateway.metrics)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"gRPC cannot listen at {address}: {error}") from error
    await server.start()
    try:
        yield
    finally:
        await server.stop(STOP_TIMEOUT_S)
