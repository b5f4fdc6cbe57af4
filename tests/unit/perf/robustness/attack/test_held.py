"""Held connections are counted, and other callers send requests meanwhile."""

import asyncio

import pytest

from perf.robustness.attack import held as held_module
from perf.robustness.attack.held import CALLS_ON_A_CONNECTION, Held, calls_without_a_message, hold
from perf.robustness.attack.sender import Target

HALF = Held("half heads", "http", b"GET / HT", 6)


async def outcome_on(*, closes: bool) -> held_module.HeldOutcome:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not closes:
            await reader.read()
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        return await hold(HALF, Target("test", "127.0.0.1", port, port), hold_s=0.2)


@pytest.mark.parametrize(("closes", "closed"), [(True, 6), (False, 0)])
def test_connections_are_told_by_who_closes_them(
    closes: bool, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_module, "ask", lambda _: "answered")
    outcome = asyncio.run(outcome_on(closes=closes))
    assert outcome.ends == {"closed by the server": closed, "still open": 6 - closed}
    assert set(outcome.probes) == {"answered"}
    assert not outcome.shuts_out


def test_others_who_get_no_verdict_are_shut_out() -> None:
    outcome = asyncio.run(outcome_on(closes=True))
    assert outcome.shuts_out
    assert "answered" not in outcome.probes


def test_calls_begin_and_have_no_message() -> None:
    assert calls_without_a_message().count(b":path") == CALLS_ON_A_CONNECTION
