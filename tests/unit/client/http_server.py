"""A real HTTP server that answers with a verdict, with a status, or not at all, as a test chooses."""

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHUTDOWN_POLL_S = 0.02

VERDICT = {
    "flagged": False,
    "refusal": {"detected": False, "score": 0.0},
    "categories": {"flagged": [], "scores": {}},
    "toxicity": {"status": "skipped", "label": None, "score": None, "reason": None},
    "windows": 1,
    "truncated": False,
}


@dataclass
class Reply:
    """A response other than a verdict."""

    status: int
    body: bytes = b'{"error": "told so"}'
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


@dataclass
class HttpServer:
    """Received requests, and the responses to the next ones.

    paths: paths of the requests. replies: responses to the next requests. ignore_bodies: the server neither
    reads nor answers requests until `released`. silent_at_end: it does so once `replies` are used up.
    """

    url: str = ""
    paths: list[str] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    ignore_bodies: bool = False
    silent_at_end: bool = False
    released: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def http_server() -> Iterator[HttpServer]:
    """Serve on a free port; treats every request of `moderation` as one of a single text."""
    made = HttpServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer with the next reply, or with a verdict."""
            made.paths.append(self.path)
            if made.ignore_bodies or (made.silent_at_end and not made.replies):
                made.released.wait()
                self.close_connection = True
                return
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self._send(made.replies.popleft() if made.replies else _verdict())

        do_GET = do_POST

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.daemon_threads = True
    made.url = f"http://127.0.0.1:{serving.server_address[1]}"
    thread = threading.Thread(target=serving.serve_forever, args=[SHUTDOWN_POLL_S])
    thread.start()
    try:
        yield made
    finally:
        made.released.set()
        serving.shutdown()
        thread.join()
        serving.server_close()


def _verdict() -> Reply:
    document = json.dumps(VERDICT).encode()
    raw = len(document).to_bytes(4, "little") + document
    output = {
        "name": "verdict",
        "datatype": "BYTES",
        "shape": [1, 1],
        "parameters": {"binary_data_size": len(raw)},
    }
    header = json.dumps({"outputs": [output]}).encode()
    return Reply(200, header + raw, {"inference-header-content-length": str(len(header))})
