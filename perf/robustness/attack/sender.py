"""Sends attacks and abandoned requests to one target, and reports how each ended."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from perf.robustness.attack.abandoned import Abandonment
from perf.robustness.attack.frame_attacks import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    frame,
    opening,
    request_headers,
)
from perf.robustness.attack.grpc_attacks import INFER, STREAM_INFER, GrpcAttack, moderation_request
from perf.robustness.attack.inference_attacks import tensor
from perf.robustness.attack.socket_attack import MODERATION_PATH, SocketAttack, post_json

ANSWER_TIMEOUT_S = 30.0
# Time that a sender stays connected if the server owes no answer.
STAY_S = 0.3
CHANNELS = 4
MAX_FRAME_BYTES = 16_384
MAX_MESSAGE_BYTES = 64 * 2**20
NO_ANSWER = "no answer"
CLOSED = "closed without an answer"
LEFT = "left"
# Closing a connection with this option resets it and discards unsent data.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_MESSAGE_BYTES),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


@dataclass(frozen=True)
class Target:
    """The ports of one server that is attacked."""

    name: str
    host: str
    http_port: int
    grpc_port: int

    @property
    def http_url(self) -> str:
        """Address over HTTP, as the client takes it."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        """Address over gRPC, as the client takes it."""
        return f"{self.host}:{self.grpc_port}"


class Sender:
    """Connections to one target; an asynchronous context manager."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def __aenter__(self) -> "Sender":
        self._channels = [
            grpc.aio.insecure_channel(self._target.grpc_url, options=CHANNEL_OPTIONS) for _ in range(CHANNELS)
        ]
        self._calls = 0
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for channel in self._channels:
            await channel.close(None)

    async def attack(self, attack: SocketAttack | GrpcAttack) -> str:
        """Send one attack; returns the status of its answer, or how it ended without one."""
        if isinstance(attack, SocketAttack):
            return await self._write(attack)
        if attack.is_stream:
            return await self._stream(attack)
        call = self._unary(attack.method)(
            attack.messages[0], metadata=attack.metadata, timeout=ANSWER_TIMEOUT_S
        )
        return await grpc_status(call)

    async def abandon(self, abandonment: Abandonment) -> str:
        """Send a valid request and leave; returns the status of its answer if one came before."""
        texts = [text.encode() for text in abandonment.texts]
        message = moderation_request(*texts).SerializeToString()
        if abandonment.how == "gRPC deadline":
            return await grpc_status(self._unary(INFER)(message, timeout=max(0.001, abandonment.after_s)))
        if abandonment.how == "gRPC cancel":
            call = self._unary(INFER)(message, timeout=ANSWER_TIMEOUT_S)
            return await self._cancelled(call, abandonment.after_s)
        if abandonment.how == "gRPC stream cancel":
            call = self._stream_call(STREAM_INFER)(stay_open([message]), timeout=ANSWER_TIMEOUT_S)
            return await self._cancelled(call, abandonment.after_s)
        if abandonment.how == "gRPC disconnect":
            return await self._reset(self._target.grpc_port, call_frames(message), abandonment.after_s)
        batch = [len(texts), 1]
        inputs = [
            tensor("text", "BYTES", batch, list(abandonment.texts)),
            tensor("judge", "BYTES", batch, ["never"] * len(texts)),
        ]
        document = {"inputs": inputs, "outputs": [{"name": "verdict"}]}
        request = post_json(MODERATION_PATH, document)
        return await self._reset(self._target.http_port, request, abandonment.after_s)

    def _channel(self) -> grpc.aio.Channel:
        self._calls += 1
        return self._channels[self._calls % CHANNELS]

    def _unary(self, method: str) -> Any:
        return self._channel().unary_unary(method)

    def _stream_call(self, method: str) -> Any:
        return self._channel().stream_stream(method)

    async def _write(self, attack: SocketAttack) -> str:
        port = self._target.http_port if attack.port == "http" else self._target.grpc_port
        try:
            reader, writer = await asyncio.open_connection(self._target.host, port)
        except OSError:
            return "refused connection"
        answer = asyncio.ensure_future(reader.read(64))
        try:
            # Some servers answer and close before they have read the whole request.
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await write_parts(writer, attack)
            timeout_s = ANSWER_TIMEOUT_S if attack.awaits_answer else STAY_S
            begin = await asyncio.wait_for(answer, timeout_s)
        except TimeoutError:
            return NO_ANSWER if attack.awaits_answer else LEFT
        except ConnectionError:
            return CLOSED
        finally:
            answer.cancel()
            writer.transport.abort()
        if attack.port == "grpc":
            return "frames" if begin else CLOSED
        return http_status(begin)

    async def _stream(self, attack: GrpcAttack) -> str:
        messages = stay_open(attack.messages) if attack.is_half_open else iterate(attack.messages)
        call = self._stream_call(attack.method)(messages, timeout=ANSWER_TIMEOUT_S)
        if attack.is_half_open:
            return await self._cancelled(call, STAY_S)
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return "OK"

    async def _cancelled(self, call: Any, after_s: float) -> str:
        await asyncio.sleep(after_s)
        return LEFT if call.cancel() else await grpc_status(call)

    async def _reset(self, port: int, sent: bytes, after_s: float) -> str:
        try:
            _, writer = await asyncio.open_connection(self._target.host, port)
        except OSError:
            return "refused connection"
        writer.write(sent)
        await asyncio.sleep(after_s)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()
        return LEFT


async def write_parts(writer: asyncio.StreamWriter, attack: SocketAttack) -> None:
    """Write the parts of an attack with their pauses."""
    for part in attack.parts:
        writer.write(part)
        await writer.drain()
        if attack.pause_s:
            await asyncio.sleep(attack.pause_s)


async def grpc_status(call: Any) -> str:
    """Name of the status that a call ends with."""
    try:
        return str((await call.code()).name)
    except asyncio.CancelledError:
        return LEFT


async def iterate(messages: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The messages, one after the other."""
    for message in messages:
        yield message


async def stay_open(messages: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The messages, and then nothing while the caller waits for an answer."""
    for message in messages:
        yield message
    await asyncio.sleep(ANSWER_TIMEOUT_S)


def http_status(begin: bytes) -> str:
    """Status code of the answer that starts with these bytes."""
    words = begin.split(b" ", 2)
    if not begin:
        return CLOSED
    return words[1].decode("ascii", "replace") if len(words) > 1 else "no HTTP"


def call_frames(message: bytes) -> bytes:
    """The frames of a whole call of ModelInfer."""
    framed = b"\x00" + len(message).to_bytes(4, "big") + message
    frames = [frame(HEADERS, END_HEADERS, 1, request_headers())]
    for start in range(0, len(framed), MAX_FRAME_BYTES):
        is_last = start + MAX_FRAME_BYTES >= len(framed)
        frames.append(frame(DATA, END_STREAM if is_last else 0, 1, framed[start : start + MAX_FRAME_BYTES]))
    return opening() + b"".join(frames)
