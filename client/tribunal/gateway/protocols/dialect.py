"""A dialect: its paths, its handlers, and the form of its errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from tribunal.gateway.caller import Caller
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.moderation.moderator import Moderator
from tribunal.gateway.moderation.policies import Policies
from tribunal.gateway.state import GatewayState


@dataclass(frozen=True)
class Dialect:
    """One protocol that clients speak.

    paths: prefixes of its paths. error_body: the JSON of an error response.
    """

    name: str
    paths: tuple[str, ...]
    router: APIRouter
    error_body: Callable[[GatewayError], dict[str, Any]]


def dialect_of(path: str, dialects: Sequence[Dialect]) -> Dialect:
    """The first dialect with a prefix of `path`, or the last dialect."""
    return next((dialect for dialect in dialects if path.startswith(dialect.paths)), dialects[-1])


# Async, because FastAPI runs synchronous dependencies in threads.
async def _moderator(request: Request) -> Moderator:
    gateway: GatewayState = request.app.state.gateway
    return gateway.moderator


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _policies(request: Request) -> Policies:
    gateway: GatewayState = request.app.state.gateway
    return gateway.policies


ModeratorOf = Annotated[Moderator, Depends(_moderator)]
CallerOf = Annotated[Caller, Depends(_caller)]
PoliciesOf = Annotated[Policies, Depends(_policies)]
