"""The HTTP application: the dialects, and the middleware around them."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from tribunal.gateway.access import AccessMiddleware, answer
from tribunal.gateway.admission.authentication import AuthenticationMiddleware
from tribunal.gateway.admission.body import BodyMiddleware
from tribunal.gateway.errors import GatewayError, from_validation
from tribunal.gateway.page import add_page
from tribunal.gateway.protocols import DIALECTS
from tribunal.gateway.protocols.dialect import dialect_of
from tribunal.gateway.state import GatewayState


def application(gateway: GatewayState) -> FastAPI:
    """The application of a gateway with this state."""
    app: FastAPI = FastAPIOffline(title="Tribunal", version="1", redoc_url=None, redirect_slashes=False)
    app.state.gateway = gateway
    for dialect in DIALECTS:
        app.include_router(dialect.router)
    add_page(app)
    for error_type in (GatewayError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(error_type, _respond)
    settings = gateway.settings
    app.add_middleware(BodyMiddleware, max_body_bytes=settings.max_body_bytes, timeout_s=settings.timeout_s)
    app.add_middleware(
        AuthenticationMiddleware,
        authenticator=gateway.authenticator,
        require_room=gateway.moderator.require_room,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["POST", "GET"],
            allow_headers=["authorization", "content-type"],
        )
    app.add_middleware(AccessMiddleware, dialects=DIALECTS, metrics=gateway.metrics)
    return app


async def _respond(request: Request, error: Exception) -> Response:
    return answer(dialect_of(request.url.path, DIALECTS), _gateway_error(error))


def _gateway_error(error: Exception) -> GatewayError:
    match error:
        case GatewayError():
            return error
        case RequestValidationError():
            return from_validation(error)
        case HTTPException():
            code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
            allow = (error.headers or {}).get("Allow")
            return GatewayError(error.status_code, code, str(error.detail), allow=allow)
        case _:
            return GatewayError(500, "internal", "the gateway failed; see its log")
