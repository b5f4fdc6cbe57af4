"""A dialect: its paths, its handlers, and the form of its errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from tribunal.gateway.errors import GatewayError
from tribunal.gateway.keys import Caller
from tribunal.gateway.moderator import Moderator
from tribunal.gateway.policies import Policy


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
    moderator: Moderator = request.app.state.moderator
    return moderator


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _policies(request: Request) -> "Policies":
    policies: Policies = request.app.state.policies
    return policies


@dataclass(frozen=True)
class Policies:
    """The policies by name."""

    by_name: dict[str, Policy]

    def find(self, name: str) -> Policy:
        """The policy `name`; raises GatewayError 404."""
        if name not in self.by_name:
            known = ", ".join(self.by_name)
            raise GatewayError(
                404, "policy_not_found", f"there is no policy {name[:80]!r}; known: {known}", "model"
            )
        return self.by_name[name]

    def of(self, caller: Caller, name: str | None) -> Policy:
        """The policy `name`, or the caller's if `name` is None; raises GatewayError 404."""
        return self.find(caller.policy if name is None else name)


ModeratorOf = Annotated[Moderator, Depends(_moderator)]
CallerOf = Annotated[Caller, Depends(_caller)]
PoliciesOf = Annotated[Policies, Depends(_policies)]
