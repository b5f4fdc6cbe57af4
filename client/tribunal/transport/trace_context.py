"""Sends the W3C trace context with calls, so that a server's spans join the caller's trace."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# By https://www.w3.org/TR/trace-context/, which has 512 characters of tracestate propagated.
VALID = {
    "traceparent": re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"),
    "tracestate": re.compile(r"[\x20-\x7e]{1,512}"),
}

_carried: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("tribunal_trace_context", default=())


@contextmanager
def trace_context(headers: Mapping[str, str]) -> Iterator[None]:
    """Send `traceparent` and `tracestate` of `headers` with calls made within the block, if they are valid.

    Applies to the thread or task that enters the block, and to tasks started within. A request with texts of
    several callers sends the context of the first.
    """
    token = _carried.set(valid_headers(headers))
    try:
        yield
    finally:
        _carried.reset(token)


def carried_headers() -> tuple[tuple[str, str], ...]:
    """Names and values of the headers that a call made here sends."""
    return _carried.get()


def valid_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The valid trace headers; no tracestate without a valid traceparent."""
    found = [(name, headers[name]) for name, valid in VALID.items() if valid.fullmatch(headers.get(name, ""))]
    return tuple(found) if found and found[0][0] == "traceparent" else ()
