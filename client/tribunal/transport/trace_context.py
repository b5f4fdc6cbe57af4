"""Sends the W3C trace context with calls, so that a server's spans join the caller's trace."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# https://www.w3.org/TR/trace-context/
HEADERS = ("traceparent", "tracestate")

_carried: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("tribunal_trace_context", default=())


@contextmanager
def trace_context(headers: Mapping[str, str]) -> Iterator[None]:
    """Send `traceparent` and `tracestate` of `headers` with calls made within the block.

    Applies to the thread or task that enters the block, and to tasks started within. A request with texts of
    several callers sends the context of the first.
    """
    token = _carried.set(tuple((name, headers[name]) for name in HEADERS if name in headers))
    try:
        yield
    finally:
        _carried.reset(token)


def carried_headers() -> tuple[tuple[str, str], ...]:
    """Names and values of the headers that a call made here sends."""
    return _carried.get()
