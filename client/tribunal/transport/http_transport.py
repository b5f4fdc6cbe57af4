"""HTTP for both clients, by httpx; the deadline covers the whole call, including the sending.

httpx limits each step of a call but not the whole call. So both clients use its asyncio API, where a deadline
can cancel any step. The synchronous client runs it in its own thread.
"""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, TypeVar

import httpx

from tribunal.connection import Address, Connection
from tribunal.errors import InvalidInput
from tribunal.transport import faults
from tribunal.transport.deadline import CLOSE_S
from tribunal.transport.http_wire import (
    inference_body,
    json_document,
    output_tensor,
    require_success,
    translated_errors,
)
from tribunal.transport.interface import AsyncTransport, ModelConfig, Tensor, Tensors, Transport
from tribunal.transport.proxy import Proxy
from tribunal.transport.tls import tls_context
from tribunal.transport.trace_context import carried_headers

Result = TypeVar("Result")
# Seconds after a call's deadline for which its thread is waited for.
LEEWAY_S = 1.0
# Triton's status for a model that is not ready.
NOT_READY = 400


def open_http(address: Address, connection: Connection, proxy: Proxy | None) -> Transport:
    """A connection for the synchronous client; raises InvalidInput for a file or an address that is none."""
    return _HttpTransport(address, connection, proxy)


def open_async_http(address: Address, connection: Connection, proxy: Proxy | None) -> AsyncTransport:
    """A connection for the asyncio client; raises InvalidInput for a file or an address that is none."""
    return _AsyncHttpTransport(address, connection, proxy)


class _AsyncHttpTransport(AsyncTransport):
    """The asyncio client's transport."""

    def __init__(self, address: Address, connection: Connection, proxy: Proxy | None) -> None:
        self._url = address.url
        self._proxy = proxy
        self._compression = connection.compression
        self._base_url = f"{'https' if address.is_tls else 'http'}://{address.host}"
        # Triton compresses whenever the client accepts it.
        accepted = {"accept-encoding": connection.compression or "identity"}
        self._headers = {**accepted, **connection.lowercase_headers}
        self._verify = tls_context(connection) if address.is_tls else False
        # One httpx client for each call in flight, because an httpx pool slows down with each connection.
        self._clients: list[httpx.AsyncClient] = []
        self._idle = [self._new_client()]

    async def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        body = inference_body(inputs, output, self._compression)
        headers = {**body.headers, **dict(carried_headers())}
        response = await self._send(
            "POST", f"/v2/models/{model}/infer", timeout_s, content=body.content, headers=headers
        )
        require_success(response, self._url, self._proxy)
        return output_tensor(response, output)

    async def stream(
        self,
        model: str,  # noqa: ARG002
        inputs: Tensors,  # noqa: ARG002
        output: str,  # noqa: ARG002
        timeout_s: float,  # noqa: ARG002
    ) -> AsyncGenerator[Tensor]:
        """Raise InvalidInput: only gRPC streams."""
        raise _no_stream(self._url)
        yield

    async def version(self, timeout_s: float) -> str:
        return str(await self._get("/v2", "version", timeout_s))

    async def models(self, timeout_s: float) -> list[str]:
        return [str(model["name"]) for model in await self._get("/v2/models/stats", "model_stats", timeout_s)]

    async def config(self, model: str, timeout_s: float) -> ModelConfig:
        response = await self._send("GET", f"/v2/models/{model}/config", timeout_s)
        require_success(response, self._url, self._proxy)
        return json_document(response, response.content)

    async def is_ready(self, model: str, timeout_s: float) -> bool:
        response = await self._send("GET", f"/v2/models/{model}/ready", timeout_s)
        if response.status_code == NOT_READY:
            return False
        require_success(response, self._url, self._proxy)
        return True

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def _get(self, path: str, field: str, timeout_s: float) -> Any:
        response = await self._send("GET", path, timeout_s)
        require_success(response, self._url, self._proxy)
        document = json_document(response, response.content)
        if field not in document:
            raise faults.lacking_output(field)
        return document[field]

    async def _send(self, method: str, path: str, timeout_s: float, **options: Any) -> httpx.Response:
        client = self._idle.pop() if self._idle else self._new_client()
        try:
            with translated_errors(self._url):
                async with asyncio.timeout(timeout_s):
                    return await client.request(method, path, **options)
        finally:
            self._idle.append(client)

    def _new_client(self) -> httpx.AsyncClient:
        try:
            client = httpx.AsyncClient(
                base_url=self._base_url,
                headers=self._headers,
                verify=self._verify,
                # Each call has its own deadline.
                timeout=None,  # noqa: S113
                limits=httpx.Limits(max_connections=1),
                # httpx has rules of its own for the variables.
                trust_env=False,
                proxy=self._proxy.url if self._proxy else None,
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise InvalidInput(f"url {self._url!r}: {error}") from error
        self._clients.append(client)
        return client


class _HttpTransport(Transport):
    """The synchronous client's transport; thread-safe."""

    def __init__(self, address: Address, connection: Connection, proxy: Proxy | None) -> None:
        self._url = address.url
        self._transport = _AsyncHttpTransport(address, connection, proxy)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()
        self._is_closed = False

    def infer(self, model: str, inputs: Tensors, output: str, timeout_s: float) -> Tensor:
        return self._run(self._transport.infer(model, inputs, output, timeout_s), timeout_s)

    def stream(
        self,
        model: str,  # noqa: ARG002
        inputs: Tensors,  # noqa: ARG002
        output: str,  # noqa: ARG002
        timeout_s: float,  # noqa: ARG002
    ) -> Generator[Tensor]:
        """Raise InvalidInput: only gRPC streams."""
        raise _no_stream(self._url)
        yield

    def version(self, timeout_s: float) -> str:
        return self._run(self._transport.version(timeout_s), timeout_s)

    def models(self, timeout_s: float) -> list[str]:
        return self._run(self._transport.models(timeout_s), timeout_s)

    def is_ready(self, model: str, timeout_s: float) -> bool:
        return self._run(self._transport.is_ready(model, timeout_s), timeout_s)

    def close(self) -> None:
        with self._starting:
            loop, self._loop = self._loop, None
            self._is_closed = True
        if loop is not None:
            closing = asyncio.run_coroutine_threadsafe(self._close(), loop)
            with contextlib.suppress(TimeoutError):
                closing.result(CLOSE_S)
            loop.call_soon_threadsafe(loop.stop)

    async def _close(self) -> None:
        """End the calls of other threads, and close the connections."""
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self._transport.close()

    def _run(self, call: Coroutine[Any, Any, Result], timeout_s: float) -> Result:
        """Run `call` in the connections' thread and wait for it; Ctrl-C cancels it there."""
        future = self._submitted(call)
        try:
            # The call has a timer of its own, which fires first if the thread runs.
            return future.result(timeout_s + LEEWAY_S)
        except concurrent.futures.CancelledError as error:
            raise faults.closed_client() from error
        except BaseException:
            future.cancel()
            raise

    def _submitted(self, call: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Give `call` to the connections' thread; the first call starts it."""
        with self._starting:
            if self._is_closed:
                call.close()
                raise faults.closed_client()
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=[self._loop], name="tribunal-http", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(call, self._loop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run `loop` until it is stopped."""
    try:
        loop.run_forever()
    finally:
        loop.close()


def _no_stream(url: str) -> InvalidInput:
    return InvalidInput(f"streaming needs gRPC, and {url} is HTTP: give host:port")
