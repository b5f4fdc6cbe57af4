"""A TCP proxy for the real server, which adds TLS and counts the clients' bytes."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

CHUNK_BYTES = 2**16


@dataclass
class Pipe:
    """address: `host:port` of the proxy; sent_bytes: by clients, so far."""

    address: str = ""
    sent_bytes: int = 0


@contextlib.contextmanager
def pipe(url: str, tls: ssl.SSLContext | None = None) -> Iterator[Pipe]:
    """Run a proxy for the server at `url` in its own thread."""
    target = urlsplit(url if "://" in url else f"grpc://{url}")
    proxy = Pipe()
    loop = asyncio.new_event_loop()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: bool) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while chunk := await reader.read(CHUNK_BYTES):
                proxy.sent_bytes += len(chunk) if counts else 0
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(pass_on(reader, to_server, True), pass_on(from_server, writer, False))

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(connect, "127.0.0.1", 0, ssl=tls)

    server = loop.run_until_complete(serve())
    proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def end() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
