"""Reads JSON bodies by one rule for all protocols: what two parsers could read differently is refused."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from tribunal.gateway.errors import GatewayError, invalid

SHOWN_CHARACTERS = 80


class JsonRoute(APIRoute):
    """A route whose JSON body is read by `read_json`; another type of body gets GatewayError 415."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, behind the reading of the body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_json(request: Request) -> Response:
            require_json_type(request.headers.get("content-type"))
            # Starlette's own cache of the parsed body, which FastAPI reads.
            request._json = read_json(await request.body())
            return await handle(request)

        return handle_json


def require_json_type(content_type: str | None) -> None:
    """Raise GatewayError 415 unless the header Content-Type names JSON."""
    message = Message()
    message["content-type"] = content_type or ""
    subtype = message.get_content_subtype()
    is_application = content_type and message.get_content_maintype() == "application"
    if is_application and (subtype == "json" or subtype.endswith("+json")):
        return
    arrived = f"is {content_type[:SHOWN_CHARACTERS]!r}" if content_type else "is missing"
    raise GatewayError(
        415,
        "unsupported_media_type",
        f"the header Content-Type {arrived}; this body needs 'Content-Type: application/json'",
    )


def read_json(body: bytes) -> Any:
    """The value of a JSON body.

    Raises GatewayError 400 for what is not JSON (RFC 8259), and for an object that names a key twice: parsers
    differ in which of the two values they take, so that a filter before this one may have read the other.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise invalid(f"the body is not UTF-8: byte {error.start}, {error.reason}") from error
    except json.JSONDecodeError as error:
        raise invalid(f"the body is not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise invalid("the body is not read: its JSON is nested too deeply") from error
    except ValueError as error:
        raise invalid(f"the body is not read: it has a number of too many digits ({error})") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)[:SHOWN_CHARACTERS]
        raise invalid(f"the body has the key {twice!r} twice in one object", twice)
    return found


def _no_constant(name: str) -> NoReturn:
    raise invalid(f"the body is not JSON: it has {name}, which is no number of JSON")
