"""Logs and counts every answer, and formats errors for the requested dialect."""

import logging
import time
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tribunal.gateway.admission.authentication import address_of
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.moderation.waits import HEADER, waiting
from tribunal.gateway.protocols.dialect import Dialect, dialect_of
from tribunal.transport.trace_context import trace_context

log = logging.getLogger("tribunal.gateway.access")
# Health checks: logged, not counted.
HEALTH_PATHS = ("/v2/health/live", "/v2/health/ready")
# Client closed the request, by nginx's convention.
CALLER_GONE = 499


class AccessMiddleware:
    """The outermost layer. A log line has no query, which may contain a key, and nothing of a body."""

    def __init__(self, app: ASGIApp, *, dialects: Sequence[Dialect], metrics: Metrics) -> None:
        self._app = app
        self._dialects = dialects
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.monotonic()
        # Answered, not redirected: many clients do not repeat the body of a POST.
        scope["path"] = scope["path"].rstrip("/") or "/"
        dialect = dialect_of(scope["path"], self._dialects)
        status = CALLER_GONE
        scope.setdefault("state", {})

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if wait.header:
                    MutableHeaders(scope=message)[HEADER] = wait.header
            await send(message)

        try:
            with trace_context(Headers(scope=scope)), waiting() as wait:
                await self._app(scope, receive, send_noting_status)
        except GatewayError as error:
            await answer(dialect, error)(scope, receive, send_noting_status)
        except Exception:
            status = 500
            raise
        finally:
            self._note(scope, dialect.name, status, time.monotonic() - started_s)

    def _note(self, scope: Scope, dialect: str, status: int, duration_s: float) -> None:
        caller = scope["state"].get("caller")
        name = caller.name if caller else "-"
        if scope["path"] not in HEALTH_PATHS:
            self._metrics.requests.labels(dialect, name, str(status)).inc()
            self._metrics.durations.labels(dialect).observe(duration_s)
        # repr escapes line feeds in a path, which would start a new log line.
        log.info(
            "%s caller=%s %s %r %d %.1f ms",
            address_of(scope),
            name,
            scope["method"],
            scope["path"],
            status,
            1000 * duration_s,
        )


def answer(dialect: Dialect, error: GatewayError) -> JSONResponse:
    """The response for `error` in the form of `dialect`."""
    return JSONResponse(dialect.error_body(error), error.status, headers=error.headers)
