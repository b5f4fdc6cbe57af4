"""Requests in raw bytes: each gets exactly one answer, and no body is read as a request."""

import json
import re
import socket

import pytest

from tests.integration.gateway.conftest import RunningGateway

ANSWER_TIMEOUT_S = 60
# What a body may hide: the answer to it would go to another caller behind a proxy.
HIDDEN = b"GET /v1/policies HTTP/1.1\r\nHost: a\r\n\r\n"
VERDICT = json.dumps({"text": "The bread is fresh.", "judge": "never"}).encode()
LAST = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
UPGRADES = ("h2c", "websocket", "TLS/1.2", "H2C, websocket")


def post(body: bytes, *headers: str, framed: bool = True) -> bytes:
    length = [f"Content-Length: {len(body)}"] if framed else []
    lines = ["POST /v1/verdicts HTTP/1.1", "Host: a", "Content-Type: application/json", *headers, *length]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(body: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n0\r\n\r\n" % (len(body), extension, body)


def exchange(gateway: RunningGateway, *sent: bytes) -> list[tuple[int, bytes]]:
    """The answers, status and body, to all that is sent until the gateway closes the connection."""
    host, port = gateway.http_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=ANSWER_TIMEOUT_S) as connection:
        for piece in sent:
            connection.sendall(piece)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    answers = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length, head
        answers.append((int(head.split()[1]), received[: int(length[1])]))
        received = received[int(length[1]) :]
    return answers


def statuses(gateway: RunningGateway, *sent: bytes) -> list[int]:
    return [status for status, _ in exchange(gateway, *sent)]


@pytest.mark.parametrize("protocol", UPGRADES)
@pytest.mark.parametrize("option", ["Upgrade, HTTP2-Settings", "keep-alive, upgrade"])
def test_an_offer_to_upgrade_is_ignored(gateway: RunningGateway, protocol: str, option: str) -> None:
    offer = (f"Upgrade: {protocol}", f"Connection: {option}", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
    (status, body), last = exchange(gateway, post(VERDICT, *offer), LAST)
    assert status == last[0] == 200
    assert json.loads(body)["flagged"] is False


@pytest.mark.parametrize("protocol", UPGRADES)
def test_the_body_of_an_offer_to_upgrade_is_no_request(gateway: RunningGateway, protocol: str) -> None:
    offer = (f"Upgrade: {protocol}", "Connection: Upgrade")
    assert statuses(gateway, post(HIDDEN, *offer), LAST) == [400, 200]
    # The body in a packet of its own.
    whole = post(HIDDEN, *offer)
    assert statuses(gateway, whole[: -len(HIDDEN)], HIDDEN, LAST) == [400, 200]
    chunks = post(b"", "Transfer-Encoding: chunked", *offer, framed=False) + chunked(VERDICT)
    assert statuses(gateway, chunks, LAST) == [200, 200]


def test_many_offers_in_one_packet_get_an_answer_each(gateway: RunningGateway) -> None:
    offers = b"".join(
        b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
        for _ in range(2000)
    )
    assert statuses(gateway, offers + LAST) == [200] * 2001


def test_connect_is_refused(gateway: RunningGateway) -> None:
    assert statuses(gateway, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN) == [400]


def test_pipelined_requests_get_their_answers_in_order(gateway: RunningGateway) -> None:
    requests = [post(VERDICT), post(HIDDEN), post(VERDICT), LAST]
    assert statuses(gateway, b"".join(requests)) == [200, 400, 200, 200]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(post(HIDDEN, "Content-Length: 0"), id="two lengths"),
        pytest.param(post(HIDDEN, f"Content-Length: {len(HIDDEN)}"), id="the same length twice"),
        pytest.param(post(chunked(HIDDEN), "Transfer-Encoding: chunked"), id="length and chunks"),
        pytest.param(post(HIDDEN, "Content-Length: +5", framed=False), id="signed length"),
        pytest.param(post(HIDDEN, "Content-Length: 5, 5", framed=False), id="list of lengths"),
        pytest.param(post(HIDDEN, "Transfer-Encoding: xchunked", framed=False), id="unknown coding"),
        pytest.param(
            post(HIDDEN, "Transfer-Encoding: chunked, identity", framed=False), id="not chunked last"
        ),
        pytest.param(post(HIDDEN, "X: a\r\n folded"), id="folded header"),
        pytest.param(post(HIDDEN, "X : a"), id="space before the colon"),
        pytest.param(post(VERDICT).replace(b"\r\n", b"\n") + HIDDEN, id="bare LF"),
        pytest.param(
            post(b"2\nab\n0\n\n" + HIDDEN, "Transfer-Encoding: chunked", framed=False),
            id="chunks with bare LF",
        ),
        pytest.param(
            post(b"2z\r\nab\r\n0\r\n\r\n" + HIDDEN, "Transfer-Encoding: chunked", framed=False),
            id="chunk size that is no number",
        ),
        pytest.param(post(HIDDEN, "Host: b\rX: c"), id="bare CR"),
    ],
)
def test_ambiguous_framing_gets_one_answer_and_is_closed(gateway: RunningGateway, request_: bytes) -> None:
    assert statuses(gateway, request_ + LAST) == [400]


def test_chunk_extensions_are_ignored(gateway: RunningGateway) -> None:
    request = post(b"", "Transfer-Encoding: chunked", framed=False)
    sent = request + chunked(VERDICT, b';name=value;other="a"') + LAST
    assert statuses(gateway, sent) == [200, 200]
