"""Reads the key of a request and applies its caller's rate limits."""

import time
from collections.abc import Callable
from urllib.parse import parse_qs

from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tribunal.gateway.admission.keys import Keys
from tribunal.gateway.caller import Caller
from tribunal.gateway.errors import GatewayError

# Paths that need no key: the page's files, health checks, and the discovery document of Google's libraries.
OPEN_PATHS = (
    "/",
    "/favicon.ico",
    "/docs",
    "/openapi.json",
    "/v2/health/live",
    "/v2/health/ready",
    "/$discovery/rest",
)
OPEN_FOLDERS = ("/page/", "/static-offline-docs/")


class RateLimits:
    """Counts the requests of each caller, over HTTP and gRPC together."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, caller: Caller) -> None:
        """Count one request; raises GatewayError 429 if the rate limit is exceeded."""
        for limit in caller.rate_limits:
            if not self._limiter.hit(limit, caller.name):
                reset_s = self._limiter.get_window_stats(limit, caller.name).reset_time
                message = f"more requests than {limit}"
                raise GatewayError(429, "rate_limited", message, retry_after_s=reset_s - time.time())


class Authenticator:
    """Authenticates callers by key and applies the key's rate limits."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._limits = RateLimits()

    def identify(self, key: str | None, address: str) -> Caller:
        """The caller with this key, from this address; raises GatewayError 401."""
        caller = self.keys.caller(key, address)
        if caller is None:
            raise GatewayError(401, "unauthorized", "give a valid key: Authorization: Bearer KEY")
        return caller

    def count(self, caller: Caller) -> None:
        """Count one request of a caller; raises GatewayError 429 if the rate limit is exceeded."""
        self._limits.count(caller)


class AuthenticationMiddleware:
    """Sets `caller` in the state of each request that needs a key; raises GatewayError.

    require_room: raises GatewayError if the caller's queue is full, before the body is read.
    """

    def __init__(
        self, app: ASGIApp, *, authenticator: Authenticator, require_room: Callable[[Caller], None]
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._require_room = require_room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""
        if scope["type"] == "http" and not is_open(scope["path"]):
            caller = self._authenticator.identify(key_of(scope), address_of(scope))
            scope["state"]["caller"] = caller
            self._authenticator.count(caller)
            if scope["method"] == "POST":
                self._require_room(caller)
        await self._app(scope, receive, send)


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def address_of(scope: Scope) -> str:
    """The client address of a request."""
    client = scope.get("client")
    return client[0] if client else "-"


def key_of(scope: Scope) -> str | None:
    """The key of a request: a bearer token, or `x-api-key` or `?key=`, which some clients send."""
    headers = Headers(scope=scope)
    if (token := bearer_token(headers.get("authorization", ""))) is not None:
        return token
    if key := headers.get("x-api-key"):
        return key
    keys = parse_qs(scope["query_string"].decode("latin-1")).get("key")
    return keys[0] if keys else None


def bearer_token(authorization: str) -> str | None:
    """The token in the header `authorization`; None for another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
