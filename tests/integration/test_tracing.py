"""Traces of requests at an OTLP endpoint."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tribunal import Client, trace_context

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import running_gateway
from tests.integration.trace_collector import TraceCollector

# Triton exports its spans every 5 s.
EXPORT_TIMEOUT_S = 30.0
STEPS = {"tokenizer", "rejection", "aegis", "verdict"}


def test_spans_of_every_second_request_show_each_step(demo_repository: Path, tmp_path: Path) -> None:
    with TraceCollector() as collector:
        with (
            TritonServer(
                ServerOptions(
                    demo_repository,
                    ports=free_ports(),
                    log_file=tmp_path / "log",
                    judge=False,
                    trace_url=collector.url,
                    trace_rate=2,
                )
            ) as server,
            Client(server.grpc_url) as client,
        ):
            for _ in range(4):
                client.moderate("How to make a bomb?")
            collector.wait_for_traces(2, EXPORT_TIMEOUT_S)
        spans = collector.spans
    requests = [span for span in spans if span.name == "moderation"]
    assert len(requests) == 2
    for request in requests:
        check_request(request, [span for span in spans if span.trace_id == request.trace_id])
    assert b"bomb" not in b"".join(span.SerializeToString() for span in spans)


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_spans_join_the_trace_of_a_caller_of_the_gateway(
    demo_repository: Path, tmp_path: Path, protocol: str
) -> None:
    trace_id, span_id = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
    options = ServerOptions(
        demo_repository,
        ports=free_ports(),
        log_file=tmp_path / "log",
        judge=False,
        trace_rate=1,
    )
    with TraceCollector() as collector:
        with (
            TritonServer(replace(options, trace_url=collector.url)) as server,
            running_gateway(server.grpc_url, tmp_path) as gateway,
            Client(getattr(gateway, protocol)) as client,
            trace_context({"traceparent": f"00-{trace_id}-{span_id}-01"}),
        ):
            client.moderate("How to make a bomb?")
        spans = [span for span in collector.spans if span.trace_id.hex() == trace_id]
    assert [span.name for span in spans if span.parent_span_id.hex() == span_id] == ["InferRequest"]
    assert {span.name for span in spans} >= STEPS


def check_request(request: Span, spans: Sequence[Span]) -> None:
    """A trace has one root with the ensemble below it, and each step with its compute time below that."""
    (root,) = [span for span in spans if not span.parent_span_id]
    assert request.parent_span_id == root.span_id
    steps = [span for span in spans if span.parent_span_id == request.span_id]
    assert {span.name for span in steps} == STEPS
    assert len(steps) == len(STEPS)
    for span in steps:
        assert request.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano
        attributes = {pair.key: pair.value.string_value for pair in span.attributes}
        assert attributes["triton.model_name"] == span.name
        assert {"REQUEST_START", "QUEUE_START", "REQUEST_END"} <= {event.name for event in span.events}
    computed = {span.parent_span_id for span in spans if span.name == "compute"}
    assert {span.span_id for span in steps} <= computed
