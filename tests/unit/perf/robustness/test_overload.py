"""Figures of an overload, its loads, and the comparison of the gateway with Triton."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable

import pytest

from perf.load import http_load as http_load_module
from perf.load.http_load import HANGS, HttpLoad, Sample, http_load
from perf.load.rounds import Round, figures_of, sample_key
from perf.robustness import overload
from perf.robustness.overload import (
    REQUEST_TEXTS,
    Overload,
    exit_status,
    overload_table,
    request_bodies,
)
from perf.serving.core_meter import CoreMeter
from perf.speed.gateway import CALLERS, GATEWAY, TRITON, overhead_table
from perf.speed.gateway import request_bodies as bodies_of_one_text

BODY = b'{"text": "a"}'


def samples(*ends: tuple[float, float, str]) -> list[Sample]:
    return [Sample(*end) for end in ends]


def overloaded(*statuses: str) -> Overload:
    return Overload(
        capacity=samples((0, 100, "200"), (1, 100, "200"), (2, 100, "429")),
        before=samples((0, 10, "200")),
        overload=[Sample(0.0, 100.0, status) for status in statuses],
        after=samples((0, 12, "200")),
        capacity_s=2.0,
        duration_s=1.0,
        cores={"overload": {"load": 0.5}},
    )


def test_goodput_is_what_was_answered_with_verdicts_before_the_end() -> None:
    measured = overloaded("200", "429", "200", "200")
    measured.overload.append(Sample(0.95, 100.0, "200"))
    figures = overload.figures_of(measured)
    assert figures.capacity_texts_per_s == REQUEST_TEXTS
    assert figures.goodput_texts_per_s == 3 * REQUEST_TEXTS
    assert figures.goodput_share == 3
    assert figures.statuses == {"200": 4, "429": 1}
    assert (figures.before_p50_ms, figures.after_p50_ms) == (10, 12)
    assert overload_table(figures, measured.cores).row_count == 12


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(("200", "429"), 0), (("200", "503"), 0), (("200", HANGS), 1), (("200", "500"), 1), (("429",), 1)],
)
def test_an_overload_fails_where_a_request_hangs_or_fails_or_none_is_answered(
    statuses: tuple[str, ...], expected: int
) -> None:
    assert exit_status(overload.figures_of(overloaded(*statuses))) == expected


def test_a_busy_process_takes_about_a_core() -> None:
    meter = CoreMeter({"load": os.getpid()})
    with meter.during("work"):
        ends_s = time.process_time() + 0.3
        while time.process_time() < ends_s:
            pass
    assert meter.cores["work"]["load"] > 0.2


def test_bodies_hold_the_workload() -> None:
    documents = [json.loads(body) for body in request_bodies(judge=True)]
    assert {len(document["texts"]) for document in documents} == {REQUEST_TEXTS}
    assert documents[0]["judge"] == "always"
    bodies = bodies_of_one_text(["a text"])
    assert json.loads(bodies[TRITON][0])["inputs"][0]["data"] == [json.loads(bodies[GATEWAY][0])["text"]]


def test_the_gateway_is_compared_at_each_number_of_callers() -> None:
    rounds = {
        sample_key(name, callers): [Round(1.0, [latency_ms] * 4)]
        for name, latency_ms in ((GATEWAY, 12.0), (TRITON, 10.0))
        for callers in CALLERS
    }
    table = overhead_table(figures_of(rounds))
    assert table.row_count == 4 * len(CALLERS)
    assert "+2.00 ms" in list(table.columns[-1].cells)


def run_load(answer: bytes | None, send: Callable[[HttpLoad], Awaitable[list[Sample]]]) -> list[Sample]:
    """The measurements of a load on a server that gives `answer` to each request, or no answer."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            if answer:
                writer.write(answer)
        writer.close()

    async def run() -> list[Sample]:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server, http_load(url, [BODY]) as load:
            return await send(load)

    return asyncio.run(run())


def test_a_closed_loop_sends_until_its_time_is_over() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    ended = run_load(answer, lambda load: load.by_callers(2, 0.1))
    assert len(ended) > 2
    assert {sample.status for sample in ended} == {"200"}


def test_an_open_loop_sends_at_seeded_moments() -> None:
    answer = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"
    ended = run_load(answer, lambda load: load.at_rate(200, 0.2, seed=1))
    assert 20 < len(ended) < 70
    assert {sample.status for sample in ended} == {"429"}
    assert len(run_load(answer, lambda load: load.at_rate(200, 0.2, seed=1))) == len(ended)


def test_a_request_without_an_end_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_load_module, "HANG_S", 0.1)
    (ended, *_) = run_load(None, lambda load: load.by_callers(1, 0.05))
    assert ended.status == HANGS
