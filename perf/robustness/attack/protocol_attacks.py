"""Attacks on HTTP itself: false lengths, bombs, header floods, unfinished requests, slow senders, paths."""

import functools
import json
import random
import zlib
from collections.abc import Callable

from perf.robustness.attack.attack_texts import MODELS, log_uniform, mutated, short_text
from perf.robustness.attack.inference_attacks import valid_document
from perf.robustness.attack.socket_attack import MODERATION_PATH, SocketAttack, post, request_head

CHUNKED = "Transfer-Encoding: chunked"
PATHS = (MODERATION_PATH, "/v1/verdicts", "/v1/moderations", "/v2/health/ready", "/", "/metrics", "/docs")
METHODS = (
    *("GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PROPFIND", "get", "P" * 9000),
    *("GET\x00", "", "{}", "PRI"),
)
MIB_OF_ZEROS = bytes(2**20)


def body_of(rng: random.Random) -> bytes:
    """The body of a valid inference request."""
    return json.dumps(valid_document(rng)).encode()


def one_byte_chunks(rng: random.Random) -> SocketAttack:
    """A body in up to a million chunks of one byte."""
    chunks = log_uniform(rng, 100, 1_000_000)
    body = b"1\r\n[\r\n" * chunks + rng.choice((b"0\r\n\r\n", b""))
    ends = body.endswith(b"0\r\n\r\n")
    head = request_head("POST", rng.choice(PATHS), [CHUNKED])
    return SocketAttack("one-byte chunks", (head, body), awaits_answer=ends)


def bad_chunks(rng: random.Random) -> SocketAttack:
    """Chunks with invalid or far too large sizes."""
    sizes = (
        b"-1",
        b"zz",
        b"ffffffffffffffff",
        b"7fffffffffffffff",
        b"1" * 1000,
        b"",
        b"0x5",
        b"5;" + b"e" * 9000,
    )
    chunk = rng.choice(sizes) + b"\r\nhello\r\n0\r\n\r\n"
    return SocketAttack(
        "bad chunks", (request_head("POST", MODERATION_PATH, [CHUNKED]), chunk), awaits_answer=False
    )


@functools.lru_cache(maxsize=4)
def zeros_compressed(size_mib: int, window_bits: int) -> bytes:
    """`size_mib` MiB of zeros, compressed by about a thousand to one; `window_bits` is zlib's."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    parts = [compressor.compress(MIB_OF_ZEROS) for _ in range(size_mib)]
    return b"".join([*parts, compressor.flush()])


def compression_bomb(rng: random.Random) -> SocketAttack:
    """A compressed body that expands to up to 400 MiB, a truncated one, or one that is not compressed."""
    path = rng.choice((MODERATION_PATH, "/v1/verdicts", "/v1/moderations"))
    coding, window_bits = rng.choice((("gzip", 31), ("deflate", 15)))
    draw = rng.random()
    if draw < 0.3:
        body = zeros_compressed(rng.choice((1, 16, 100, 400)), window_bits)
    elif draw < 0.6:
        compressor = zlib.compressobj(9, zlib.DEFLATED, window_bits)
        whole = compressor.compress(body_of(rng)) + compressor.flush()
        body = whole[: rng.randint(0, len(whole))]
    else:
        body = mutated(rng, body_of(rng))
    return SocketAttack("compressed body", (post(path, body, f"Content-Encoding: {coding}"),))


def lying_length(rng: random.Random) -> SocketAttack:
    """A Content-Length that is wrong, duplicated, or combined with chunks."""
    body = body_of(rng)
    lengths = (len(body) + 1000, 0, -1, 2**31, 2**63, 2**64 + 5, "x", "1, 2", "", "+5", f"{len(body)}.0")
    headers = [f"Content-Length: {rng.choice(lengths)}"]
    if rng.random() < 0.3:
        headers.append(
            rng.choice((f"Content-Length: {len(body)}", CHUNKED, "Transfer-Encoding: gzip, chunked"))
        )
    head = request_head("POST", rng.choice(PATHS), headers)
    return SocketAttack("lying length", (head + body,), awaits_answer=False)


def huge_header(rng: random.Random) -> SocketAttack:
    """One header of up to a megabyte, or up to 20,000 headers."""
    body = body_of(rng)
    if rng.random() < 0.5:
        headers = [f"X-Long: {'a' * log_uniform(rng, 1000, 1_000_000)}"]
    else:
        headers = [f"X-{number}: 1" for number in range(log_uniform(rng, 50, 20_000))]
    return SocketAttack("huge headers", (post(MODERATION_PATH, body, *headers),), awaits_answer=False)


def bad_header(rng: random.Random) -> SocketAttack:
    """A header with forbidden bytes, or an odd value of a header that servers read."""
    header = rng.choice(
        (
            *("X: \x00", "X\x00: 1", ": nothing", "no colon", "X: a\rb", " folded", "Expect: 100-continue"),
            *(
                "Expect: 200-ok",
                "Upgrade: h2c",
                "Connection: Upgrade, HTTP2-Settings",
                "Host: ",
                "Host: a\tb",
            ),
            *("Content-Type: text/plain; charset=utf-7", "Content-Type: multipart/form-data; boundary="),
            *(
                "Accept: application/xml",
                "Authorization: Bearer " + "x" * 5000,
                "Range: bytes=0-",
                "Origin: null",
            ),
            *("traceparent: " + "0" * 300, "X-Request-Id: \r\n\r\nGET / HTTP/1.1", "Accept-Encoding: br;q=9"),
        )
    )
    return SocketAttack("bad header", (post(rng.choice(PATHS), body_of(rng), header),), awaits_answer=False)


def wrong_method(rng: random.Random) -> SocketAttack:
    """A method that the path does not have."""
    head = request_head(rng.choice(METHODS), rng.choice(PATHS), ["Content-Length: 0"])
    return SocketAttack("wrong method", (head,), awaits_answer=False)


def path_trick(rng: random.Random) -> SocketAttack:
    """A path that leaves the folder, names a model's operation, is very long, or is invalid."""
    model = rng.choice(MODELS)
    path = rng.choice(
        (
            *(
                "/v2/models/../../etc/passwd",
                "/v2/models/..%2f..%2fetc%2fpasswd/infer",
                "//",
                "/%00",
                "/%ff%fe",
            ),
            *("/v2/models//infer", "/v2/models/moderation/versions/99999999999999999999/infer", "*", "", "?"),
            *(
                "/" + "a" * log_uniform(rng, 100, 200_000),
                "/" + "../" * 5000,
                "http://localhost/v2",
                "/\\..\\",
            ),
            *(f"/v2/repository/models/{model}/unload", f"/v2/repository/models/{model}/load"),
            *("/v2/repository/index", f"/v2/models/{model}/config", f"/v2/models/{model}/stats"),
            *("/v2/logging", "/v2/trace/setting", f"/v2/models/{model}/trace/setting"),
            *("/v2/systemsharedmemory/region/x/register", "/v2/cudasharedmemory/region/x/register"),
            *("/v2/systemsharedmemory/unregister", f"/v2/models/{model}%00/infer", "/v2/models/%2e%2e/infer"),
            *(
                "/static/../../../etc/passwd",
                "/static/%2e%2e/%2e%2e/etc/passwd",
                "/openapi.json?x=" + "y" * 9000,
            ),
        )
    )
    body = rng.choice((b"{}", b'{"key":"/x","offset":0,"byte_size":64}', body_of(rng)))
    method = rng.choice(("GET", "POST", "POST"))
    head = request_head(method, path, [f"Content-Length: {len(body)}"])
    return SocketAttack("path trick", (head + body,), awaits_answer=False)


def half_open(rng: random.Random) -> SocketAttack:
    """A request that is never finished."""
    whole = post(MODERATION_PATH, body_of(rng))
    return SocketAttack("half a request", (whole[: rng.randrange(len(whole))],), awaits_answer=False)


def slow_send(rng: random.Random) -> SocketAttack:
    """A valid request in small pieces with pauses."""
    whole = post(MODERATION_PATH, body_of(rng))
    size = max(1, len(whole) // rng.randint(5, 40))
    parts = tuple(whole[start : start + size] for start in range(0, len(whole), size))
    return SocketAttack("slow sender", parts, pause_s=0.02)


def random_bytes(rng: random.Random) -> SocketAttack:
    """Random bytes as a body or instead of HTTP, or a request with random changes in its headers."""
    noise = rng.randbytes(log_uniform(rng, 1, 100_000))
    whole = post(MODERATION_PATH, body_of(rng))
    head_bytes = whole.index(b"\r\n\r\n") + 4
    changed = mutated(rng, whole[:head_bytes]) + whole[head_bytes:]
    sent = rng.choice((noise, post(rng.choice(PATHS), noise), changed))
    return SocketAttack("random bytes", (sent,), awaits_answer=False)


def pipelined(rng: random.Random) -> SocketAttack:
    """Many requests on one connection, or one hidden in another's body."""
    text = short_text(rng)
    body = json.dumps({"texts": [text], "judge": "never"}).encode()
    head = f"POST /v1/verdicts HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    request = f"{head}Content-Type: application/json\r\n\r\n".encode() + body
    hidden = request_head("POST", "/v1/verdicts", [f"Content-Length: {len(request)}", CHUNKED])
    sent = rng.choice((request * rng.randint(2, 50), hidden + b"0\r\n\r\n" + request))
    return SocketAttack("pipelined requests", (sent,), awaits_answer=False)


PROTOCOL_ATTACKS: tuple[Callable[[random.Random], SocketAttack], ...] = (
    *(one_byte_chunks, bad_chunks, compression_bomb, lying_length, huge_header, bad_header, wrong_method),
    *(path_trick, half_open, slow_send, random_bytes, pipelined),
)
