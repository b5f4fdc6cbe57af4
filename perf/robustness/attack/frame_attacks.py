"""Malformed HTTP/2 frames (RFC 9113) for the gRPC port, which no library would send."""

import random
from collections.abc import Callable

from perf.robustness.attack.attack_texts import log_uniform, mutated
from perf.robustness.attack.grpc_attacks import INFER, moderation_request
from perf.robustness.attack.socket_attack import SocketAttack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GO_AWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
# Indexed fields of HPACK's static table (RFC 7541, appendix A): POST and http.
POST_OVER_HTTP = b"\x83\x86"


def frame(kind: int, flags: int, stream: int, payload: bytes, length: int | None = None) -> bytes:
    """One frame; `length` is the payload length that it declares, by default the true one."""
    said: int = len(payload) if length is None else length
    return said.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """A literal, unindexed header field of HPACK; name and value have at most 126 bytes."""
    encoded = [part.encode() for part in (name, value)]
    return b"\x00" + b"".join(bytes([len(part)]) + part for part in encoded)


def request_headers() -> bytes:
    """The header block of a call of ModelInfer."""
    fields = ((":path", INFER), (":authority", "localhost"), ("content-type", "application/grpc"))
    return POST_OVER_HTTP + b"".join(literal(*field) for field in (*fields, ("te", "trailers")))


def opening() -> bytes:
    """The client's connection preface."""
    return PREFACE + frame(SETTINGS, 0, 0, b"")


def message() -> bytes:
    """A valid request in gRPC's framing: one byte for the compression, four for the length."""
    content: bytes = moderation_request(b"The bread is fresh.").SerializeToString()
    return b"\x00" + len(content).to_bytes(4, "big") + content


def rapid_resets(rng: random.Random) -> SocketAttack:
    """Hundreds of calls, each reset at once."""
    frames = []
    for number in range(log_uniform(rng, 10, 1000)):
        stream = 2 * number + 1
        frames.append(frame(HEADERS, END_HEADERS, stream, request_headers()))
        if rng.random() < 0.5:
            frames.append(frame(DATA, END_STREAM, stream, message()))
        frames.append(frame(RESET, 0, stream, (8).to_bytes(4, "big")))
    return frames_attack("rapid resets", opening() + b"".join(frames))


def floods(rng: random.Random) -> SocketAttack:
    """Thousands of settings, pings, continuations or empty frames."""
    count = log_uniform(rng, 100, 5000)
    flood = rng.choice(
        (
            frame(SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x01") * count,
            frame(PING, 0, 0, bytes(8)) * count,
            frame(HEADERS, 0, 1, request_headers())
            + frame(CONTINUATION, 0, 1, literal("x", "y") * 8) * count,
            frame(HEADERS, END_HEADERS, 1, request_headers()) + frame(DATA, 0, 1, b"") * count,
            frame(WINDOW_UPDATE, 0, 0, (2**31 - 1).to_bytes(4, "big")) * 3,
        )
    )
    return frames_attack("floods of frames", opening() + flood)


def lying_frame(rng: random.Random) -> SocketAttack:
    """A frame or a message with a false length, or an HPACK block of random bytes."""
    headers = frame(HEADERS, END_HEADERS, 1, request_headers())
    sent = rng.choice(
        (
            frame(HEADERS, END_HEADERS, 1, rng.randbytes(rng.randint(1, 200))),
            frame(HEADERS, END_HEADERS, 1, request_headers(), length=2**24 - 1),
            headers + frame(DATA, END_STREAM, 1, b"\x00\xff\xff\xff\xff" + b"x" * 10),
            headers + frame(DATA, END_STREAM, 1, b"\x01" + message()[1:]),
            headers + frame(DATA, END_STREAM, 1, message()[:-5]),
            headers + frame(DATA, 0, 1, message()),
            frame(DATA, END_STREAM, 7, message()),
            frame(rng.randrange(256), rng.randrange(256), rng.randrange(2**31), rng.randbytes(20)),
        )
    )
    return frames_attack("lying frames", opening() + sent)


def mutated_frames(rng: random.Random) -> SocketAttack:
    """Frames of a valid call with random changes."""
    call = frame(HEADERS, END_HEADERS, 1, request_headers()) + frame(DATA, END_STREAM, 1, message())
    return frames_attack("mutated frames", opening() + mutated(rng, call))


def no_http2(rng: random.Random) -> SocketAttack:
    """Random bytes, HTTP/1.1 or half a preface to the gRPC port."""
    sent = rng.choice(
        (
            rng.randbytes(log_uniform(rng, 1, 10_000)),
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            PREFACE[: rng.randrange(len(PREFACE))],
            b"\x16\x03\x01" + rng.randbytes(200),
        )
    )
    return frames_attack("no HTTP/2", sent)


def frames_attack(kind: str, sent: bytes) -> SocketAttack:
    """Bytes for the gRPC port; the sender does not wait for an answer."""
    return SocketAttack(kind, (sent,), port="grpc", awaits_answer=False)


FRAME_ATTACKS: tuple[Callable[[random.Random], SocketAttack], ...] = (
    *(rapid_resets, floods, lying_frame, mutated_frames, no_http2),
)
