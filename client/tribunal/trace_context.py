"""The W3C trace context that calls carry, so that a server's spans join the caller's trace."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# https://www.w3.org/TR/trace-context/
HEADERS = ("traceparent", "tracestate")

_carried: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("tribunal_trace_context", default=())


@contextmanager
def trace_context(headers: Mapping[str, str]) -> Iterator[None]:
    """Let calls made within the block carry `traceparent` and `tracestate` of `headers`.

    Holds for the thread or task that enters it and for tasks started within. Texts of several callers
    that go in one request carry the context of the first.
    """
    token = _carried.set(tuple((name, headers[name]) for name in HEADERS if name in headers))
    try:
        yield
    finally:
        _carried.reset(token)


def carried_headers() -> tuple[tuple[str, str], ...]:
    """Names and values that a call made here carries."""
    return _carried.get()
