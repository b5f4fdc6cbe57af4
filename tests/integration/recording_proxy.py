"""A proxy for the real server that records requests and fails those that a test chooses."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import aiohttp.web
import grpc

from launcher.process.server import TritonServer

HTTP_STATUS = {grpc.StatusCode.UNAVAILABLE: 503, grpc.StatusCode.UNAUTHENTICATED: 401}


@dataclass
class RecordingProxy:
    """Recorded requests, and the behaviour for the next ones.

    headers: of each request, names in lower case.
    failures: error statuses of the next requests.
    poison: gRPC requests that contain these bytes fail with INTERNAL.
    hold: requests wait while it is set.
    most_in_flight: maximum number of concurrent requests.
    cancelled: number of requests that their client cancelled.
    """

    grpc_url: str = ""
    http_url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    failures: deque[grpc.StatusCode] = field(default_factory=deque)
    poison: bytes = b""
    hold: bool = False
    in_flight: int = 0
    most_in_flight: int = 0
    cancelled: int = 0

    @contextlib.asynccontextmanager
    async def passing(self, headers: dict[str, str]) -> AsyncIterator[grpc.StatusCode | None]:
        """Record a request, hold it if `hold` is set, and yield its error status or None."""
        self.headers.append(headers)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            while self.hold:
                await asyncio.sleep(0.01)
            yield self.failures.popleft() if self.failures else None
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1


class GrpcForwarder(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Forwards raw messages of every unary method."""

    def __init__(self, proxy: RecordingProxy, channel: grpc.aio.Channel) -> None:
        self._proxy = proxy
        self._channel = channel

    def service(self, handler_call_details: Any) -> Any:
        forward = self._channel.unary_unary(handler_call_details.method)

        async def answer(request: bytes, context: Any) -> Any:
            metadata = dict(context.invocation_metadata())
            async with self._proxy.passing(metadata) as failure:
                if failure is not None:
                    await context.abort(failure, "the proxy was told so")
                if self._proxy.poison and self._proxy.poison in request:
                    await context.abort(grpc.StatusCode.INTERNAL, "the proxy was told so")
                try:
                    return await forward(request)
                except grpc.aio.AioRpcError as error:
                    await context.abort(error.code(), error.details())

        return grpc.unary_unary_rpc_method_handler(answer)


@contextlib.contextmanager
def recording_proxy(server: TritonServer) -> Iterator[RecordingProxy]:
    """Run a proxy in front of `server` in its own thread."""
    made = RecordingProxy()
    started, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def forward(request: aiohttp.web.Request) -> aiohttp.web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        async with made.passing(headers) as failure:
            if failure is not None:
                return aiohttp.web.json_response({"error": "told so"}, status=HTTP_STATUS[failure])
            async with (
                aiohttp.ClientSession(auto_decompress=False) as session,
                session.request(
                    request.method,
                    f"{server.http_url}{request.path}",
                    data=await request.read(),
                    headers=headers,
                ) as answer,
            ):
                return aiohttp.web.Response(
                    body=await answer.read(), status=answer.status, headers=answer.headers
                )

    async def serve() -> None:
        app = aiohttp.web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", forward)
        runner = aiohttp.web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with grpc.aio.insecure_channel(server.grpc_url) as channel:
            proxy = grpc.aio.server()
            proxy.add_generic_rpc_handlers((GrpcForwarder(made, channel),))
            made.grpc_url = f"127.0.0.1:{proxy.add_insecure_port('127.0.0.1:0')}"
            made.http_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            await proxy.start()
            started.set()
            await stop.wait()
            await proxy.stop(None)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert started.wait(10)
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
