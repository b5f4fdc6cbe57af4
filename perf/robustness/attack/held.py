"""Holds connections with unfinished requests open, and checks that other callers still get verdicts."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass

from tribunal import Client, TribunalError

from perf.robustness.attack.frame_attacks import END_HEADERS, HEADERS, frame, opening, request_headers
from perf.robustness.attack.sender import Target
from perf.robustness.attack.socket_attack import Port

# Longer than any deadline of a request.
HOLD_S = 40.0
PROBE_INTERVAL_S, PROBE_TIMEOUT_S = 4.0, 10.0
PROBE_TEXT = "The bread is fresh."
READ_BYTES = 65_536
HALF_HEAD = b"POST /v1/verdicts HTTP/1.1\r\nHost: localhost\r\nX-Half: "
HALF_BODY = b"POST /v1/verdicts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
CALLS_ON_A_CONNECTION = 1000


@dataclass(frozen=True)
class Held:
    """A number of connections; on each, `begin` is sent and nothing after it."""

    kind: str
    port: Port
    begin: bytes
    connections: int


@dataclass(frozen=True)
class HeldOutcome:
    """The results for the connections and for the other callers.

    ends: number of connections by their state after HOLD_S. probes: number of other callers by result.
    shuts_out: whether the last of the other callers got no verdict.
    """

    ends: dict[str, int]
    probes: dict[str, int]
    shuts_out: bool


def calls_without_a_message() -> bytes:
    """The headers of many calls on one connection."""
    streams = range(1, 2 * CALLS_ON_A_CONNECTION, 2)
    return opening() + b"".join(frame(HEADERS, END_HEADERS, stream, request_headers()) for stream in streams)


HELD = (
    Held("HTTP, half heads", "http", HALF_HEAD, 4500),
    Held("HTTP, half bodies", "http", HALF_BODY, 4500),
    Held("gRPC, calls without a message", "grpc", calls_without_a_message(), 2),
    Held("gRPC's port, nothing but a preface", "grpc", opening(), 500),
)


async def hold(held: Held, target: Target, hold_s: float = HOLD_S) -> HeldOutcome:
    """Open the connections, hold them, and request verdicts meanwhile."""
    port = target.http_port if held.port == "http" else target.grpc_port
    url = target.http_url if held.port == "http" else target.grpc_url
    async with contextlib.AsyncExitStack() as stack:
        connections = []
        for _ in range(held.connections):
            try:
                reader, writer = await asyncio.open_connection(target.host, port)
            except OSError:
                break
            stack.callback(abort, writer)
            writer.write(held.begin)
            connections.append(asyncio.create_task(until_closed(reader)))
        ends_s = asyncio.get_running_loop().time() + hold_s
        probes: Counter[str] = Counter()
        last = ""
        while asyncio.get_running_loop().time() < ends_s:
            await asyncio.sleep(min(PROBE_INTERVAL_S, hold_s / 2))
            last = await asyncio.to_thread(ask, url)
            probes[last] += 1
        closed = sum(task.done() for task in connections)
        for task in connections:
            task.cancel()
    ends = {"closed by the server": closed, "still open": len(connections) - closed}
    return HeldOutcome(ends, dict(probes), shuts_out=last != "answered")


def abort(writer: asyncio.StreamWriter) -> None:
    """Abort a connection. Callers must keep the writer: an unreferenced writer closes its connection."""
    writer.transport.abort()


async def until_closed(reader: asyncio.StreamReader) -> None:
    """Read until the server closes the connection."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(READ_BYTES):
            pass


def ask(url: str) -> str:
    """The result of another caller's request."""
    try:
        with Client(url, timeout_s=PROBE_TIMEOUT_S) as client:
            client.moderate(PROBE_TEXT, judge="never")
    except TribunalError as error:
        return type(error).__name__
    return "answered"
