"""The recorded results of attacks on servers that answer, close the connection, or do not answer."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perf.robustness.attack import sender as sender_module
from perf.robustness.attack.campaign import Campaign
from perf.robustness.attack.sender import CLOSED, LEFT, NO_ANSWER, Sender, Target, call_frames, http_status
from perf.robustness.attack.socket_attack import SocketAttack

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = SocketAttack("a kind", (b"GET / HTTP/1.1\r\n", b"\r\n"))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 418 I'm a teapot\r\n\r\n")
    writer.close()


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def outcome(handler: Handler, attack: SocketAttack) -> str:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Sender(Target("test", "127.0.0.1", port, port)) as sender:
        return await sender.attack(attack)


def test_an_answer_is_its_status() -> None:
    assert asyncio.run(outcome(answer, REQUEST)) == "418"


def test_a_closed_connection_is_no_answer_that_was_owed() -> None:
    assert asyncio.run(outcome(close, REQUEST)) == CLOSED


def test_silence_is_told_by_what_was_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "ANSWER_TIMEOUT_S", 0.2)
    assert asyncio.run(outcome(stay_silent, REQUEST)) == NO_ANSWER
    owed_nothing = SocketAttack("a kind", REQUEST.parts, awaits_answer=False)
    assert asyncio.run(outcome(stay_silent, owed_nothing)) == LEFT


def test_a_status_line_is_read() -> None:
    assert http_status(b"HTTP/1.1 200 OK\r\n") == "200"
    assert http_status(b"") == CLOSED
    assert http_status(b"\x00") == "no HTTP"


def test_a_long_message_is_split_into_frames_that_end_once() -> None:
    frames = call_frames(bytes(40_000))
    position = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    kinds, ends = [], []
    while position < len(frames):
        length = int.from_bytes(frames[position : position + 3], "big")
        kinds.append(frames[position + 3])
        ends.append(frames[position + 4] & 1)
        position += 9 + length
    assert position == len(frames)
    assert kinds == [4, 1, 0, 0, 0]
    assert ends == [0, 0, 0, 0, 1]


def test_a_campaign_counts_by_kind_and_status_and_knows_what_is_under_way() -> None:
    campaign = Campaign()
    seen: list[list[str]] = []

    async def send(number: int) -> str:
        seen.append(campaign.under_way())
        return "odd" if number % 2 else "even"

    asyncio.run(
        campaign.run(
            range(4), lambda number: number, send, lambda _: "numbers", at_once=1, on_sent=lambda: None
        )
    )
    assert seen[1] == ["number 1, 1", "number 0, 0: even"]
    assert campaign.take_outcomes() == {"numbers": {"even": 2, "odd": 2}}
    assert campaign.take_outcomes() == {}
    assert campaign.examples() == {"numbers: even": "number 0, 0", "numbers: odd": "number 1, 1"}
