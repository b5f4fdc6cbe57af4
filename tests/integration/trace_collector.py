"""An OTLP/HTTP endpoint that keeps received spans."""

import base64
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

ID_FIELDS = ("traceId", "spanId", "parentSpanId")


class TraceCollector:
    """Listens on a free port of loopback, as a context manager."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._arrived = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    collector.keep(read_export(body, self.headers["Content-Type"]))
                except (ValueError, json_format.Error) as error:
                    self.send_error(HTTPStatus.BAD_REQUEST, repr(error))
                    return
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        """The endpoint's URL."""
        return f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    @property
    def spans(self) -> list[Span]:
        """All spans so far."""
        with self._arrived:
            return list(self._spans)

    def keep(self, request: ExportTraceServiceRequest) -> None:
        """Add the spans of one export."""
        with self._arrived:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self._spans.extend(scope.spans)
            self._arrived.notify_all()

    def wait_for_traces(self, count: int, timeout_s: float) -> None:
        """Wait for `count` root spans, which are the last of their traces; raises TimeoutError."""

        def complete() -> bool:
            return sum(not span.parent_span_id for span in self._spans) >= count

        with self._arrived:
            if not self._arrived.wait_for(complete, timeout_s):
                raise TimeoutError(f"{len(self._spans)} spans came, and not {count} whole traces")

    def __enter__(self) -> "TraceCollector":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def read_export(body: bytes, content_type: str) -> ExportTraceServiceRequest:
    """Read either encoding of OTLP/HTTP; in its JSON the ids are hexadecimal, not base64.

    https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    if content_type != "application/json":
        return ExportTraceServiceRequest.FromString(body)
    document = json.loads(body)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for field in ID_FIELDS:
                    span[field] = base64.b64encode(bytes.fromhex(span.get(field, ""))).decode()
    return json_format.ParseDict(document, ExportTraceServiceRequest())
