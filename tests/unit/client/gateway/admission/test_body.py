"""Request bodies: limits, compression, and callers that disconnect."""

import asyncio
import gzip
import zlib
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send
from tribunal.gateway.admission.body import BODIES_HELD, BodyMiddleware
from tribunal.gateway.errors import GatewayError

LIMIT = 1000


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def asked(chunks: Sequence[bytes], headers: dict[str, str] | None = None) -> bytes:
    """The answer of `echo` behind the middleware."""
    sent: list[Message] = []
    arriving: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": index + 1 < len(chunks)}
        for index, chunk in enumerate(chunks)
    ]

    async def receive() -> Message:
        if arriving:
            return arriving.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    encoded = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: Scope = {"type": "http", "headers": encoded}
    asyncio.run(BodyMiddleware(echo, max_body_bytes=LIMIT, timeout_s=0.2)(scope, receive, send))
    body: bytes = sent[1]["body"]
    return body


def status_of(chunks: Sequence[bytes], headers: dict[str, str] | None = None) -> int:
    with pytest.raises(GatewayError) as raised:
        asked(chunks, headers)
    return raised.value.status


def test_a_body_in_chunks_arrives_whole() -> None:
    assert asked([b"a", b"", b"bc"]) == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_is_read(encoding: str) -> None:
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    assert asked([compress(b"a" * LIMIT)], {"content-encoding": encoding}) == b"a" * LIMIT
    assert status_of([compress(b"a" * (LIMIT + 1))], {"content-encoding": encoding}) == 413
    assert status_of([compress(b"a" * LIMIT)[:-1]], {"content-encoding": encoding}) == 400
    assert status_of([b"not compressed"], {"content-encoding": encoding}) == 400


def test_a_body_of_several_gzip_members_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    gzipped = {"content-encoding": "x-gzip"}
    members = [gzip.compress(part) for part in (b"a", b"", b"bc")]
    assert asked([b"".join(members)], gzipped) == b"abc"
    assert status_of([gzip.compress(b"a") + b"trailing"], gzipped) == 400
    assert status_of([gzip.compress(b"a" * LIMIT) + gzip.compress(b"a")], gzipped) == 413
    monkeypatch.setattr("tribunal.gateway.admission.body.MAX_MEMBERS", 2)
    assert asked([gzip.compress(b"") * 2], gzipped) == b""
    assert status_of([gzip.compress(b"") * 3], gzipped) == 400
    assert status_of([zlib.compress(b"a") * 2], {"content-encoding": "deflate"}) == 400


def test_a_body_beyond_the_limit_is_refused() -> None:
    assert status_of([b"a"], {"content-length": str(LIMIT + 1)}) == 413
    assert status_of([b"a" * 600, b"a" * 600]) == 413


def test_bodies_beyond_what_is_held_together_are_refused() -> None:
    layer = BodyMiddleware(echo, max_body_bytes=LIMIT, timeout_s=5)
    statuses: list[int] = []

    async def ask(body: bytes) -> None:
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            await asyncio.sleep(0)
            return {"type": "http.request", "body": body, "more_body": body == held}

        async def send(message: Message) -> None:
            statuses.append(message.get("status", 0))

        await layer({"type": "http", "headers": []}, receive, send)

    held = b"h" * LIMIT

    async def test() -> None:
        holding = [asyncio.create_task(ask(held)) for _ in range(BODIES_HELD)]
        await asyncio.sleep(0.05)
        with pytest.raises(GatewayError) as raised:
            await ask(b"a")
        assert raised.value.status == 429
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)
        await ask(b"a")

    asyncio.run(test())
    assert 200 in statuses


def test_an_unknown_encoding_is_refused() -> None:
    assert status_of([b"a"], {"content-encoding": "br"}) == 415


def test_a_body_that_does_not_arrive_is_refused() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    layer = BodyMiddleware(echo, max_body_bytes=LIMIT, timeout_s=0.05)
    with pytest.raises(GatewayError, match=r"did not arrive within 0\.05 s"):
        asyncio.run(layer({"type": "http", "headers": []}, receive, send))


def test_work_for_a_caller_that_goes_is_cancelled() -> None:
    was_cancelled = asyncio.Event()
    messages: list[Message] = [
        {"type": "http.request", "body": b"a", "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise

    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError

    layer = BodyMiddleware(endless, max_body_bytes=LIMIT, timeout_s=1)
    asyncio.run(asyncio.wait_for(layer({"type": "http", "headers": []}, receive, send), 5))
    assert was_cancelled.is_set()
