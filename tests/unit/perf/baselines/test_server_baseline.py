"""Baselines that are HTTP servers, tested with small servers."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from perf.baselines.registry import EncoderFiles
from perf.baselines.server_baseline import HttpServer, ServerBaseline
from perf.load.rounds import BATCH_LOAD, THROUGHPUT_LOAD
from perf.load.workload import WORKLOAD_TEXTS

NO_FILES = EncoderFiles(Path(), Path())
# Answers 503 to the first request, and 404 to a body that does not end with the second argument.
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    is_ready = False
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        is_known = self.path == "/screen" and body.endswith(sys.argv[2].encode())
        self.send_response(503 if not Handler.is_ready else 200 if is_known else 404)
        Handler.is_ready = True
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def server(ending: str, bodies: Callable[[str], list[object]]) -> HttpServer:
    return HttpServer(
        lambda _, port: [sys.executable, "-c", SERVER, str(port), ending], path="/screen", bodies=bodies
    )


def wait_until_stopped(process: psutil.Process) -> None:
    deadline_s = time.monotonic() + 10
    while process.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_every_server_gets_its_requests_and_is_stopped_between_rounds() -> None:
    ours = {child.pid for child in psutil.Process().children()}
    servers = (
        server('"}', lambda text: [{"input": text}]),
        server("]", lambda text: [[text], [text]]),
    )
    with ServerBaseline("two", "two servers", servers).start(NO_FILES) as run_round:
        processes = [child for child in psutil.Process().children() if child.pid not in ours]
        assert len(processes) == 2
        for load in (THROUGHPUT_LOAD, BATCH_LOAD):
            round_ = run_round(load, 2)
            assert (len(round_.latencies_ms), round_.failures) == (2 * WORKLOAD_TEXTS, 0)
            for process in processes:
                wait_until_stopped(process)
    assert not any(process.is_running() for process in processes)


def test_a_server_that_ends_by_itself_is_an_error() -> None:
    ending = HttpServer(
        lambda *_: [sys.executable, "-c", "1 / 0"], path="/screen", bodies=lambda text: [text]
    )
    with (
        pytest.raises(RuntimeError, match="a server ended by itself"),
        ServerBaseline("ending", "ends", (ending,)).start(NO_FILES),
    ):
        pass
