"""The HTTP application: the dialects, and the middleware around them."""

import logging
from dataclasses import replace
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from tribunal.errors import InvalidInput
from tribunal.gateway.access import AccessMiddleware, answer
from tribunal.gateway.authentication import AuthenticationMiddleware, Authenticator
from tribunal.gateway.body import BodyMiddleware
from tribunal.gateway.dialect import Policies, dialect_of
from tribunal.gateway.dialects import DIALECTS
from tribunal.gateway.errors import GatewayError, from_validation
from tribunal.gateway.keys import Keys
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.moderator import Moderator
from tribunal.gateway.page import add_page
from tribunal.gateway.policies import load_policies
from tribunal.gateway.settings import GatewaySettings
from tribunal.gateway.triton import Triton

log = logging.getLogger("tribunal.gateway")
UNLIMITED = 2**31


class Gateway:
    """The state that HTTP and gRPC share: policies, callers, the moderator and the metrics.

    Raises InvalidInput if a file of `settings` is invalid. Create it in the event loop that serves.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.policies, keys = self._read()
        self.authenticator = Authenticator(keys)
        self.metrics = Metrics()
        # The queues limit what is in flight.
        connection = replace(settings.connection, max_in_flight=UNLIMITED)
        self.triton = Triton(settings.url, timeout_s=settings.timeout_s, connection=connection)
        self.moderator = Moderator(self.triton, settings, self.metrics)
        self.metrics.watch(
            "tribunal_gateway_in_flight_cost",
            "Cost of the texts in flight at Triton: 1 for each KiB of a text.",
            lambda: self.moderator.in_flight,
        )
        self.metrics.watch(
            "tribunal_gateway_waiting_cost", "Cost of the texts that wait.", lambda: self.moderator.waiting
        )
        self.app = self._application()

    def reload(self) -> None:
        """Reload policies and keys; if a file is invalid, keep the old ones."""
        try:
            self.policies, self.authenticator.keys = self._read()
        except InvalidInput as error:
            log.error("policies and keys were not reloaded: %s", error)
            return
        self.app.state.policies = self.policies
        log.info("policies and keys were reloaded: %s", ", ".join(self.policies.by_name))

    def _read(self) -> tuple[Policies, Keys]:
        policies = load_policies(self.settings.policies_file)
        return Policies(policies), Keys.load(self.settings.keys_file, policies)

    def _application(self) -> FastAPI:
        app: FastAPI = FastAPIOffline(title="Tribunal", version="1", redoc_url=None)
        app.state.moderator = self.moderator
        app.state.policies = self.policies
        for dialect in DIALECTS:
            app.include_router(dialect.router)
        add_page(app)
        for error_type in (GatewayError, RequestValidationError, HTTPException, Exception):
            app.add_exception_handler(error_type, _respond)
        app.add_middleware(
            BodyMiddleware, max_body_bytes=self.settings.max_body_bytes, timeout_s=self.settings.timeout_s
        )
        app.add_middleware(
            AuthenticationMiddleware,
            authenticator=self.authenticator,
            require_room=self.moderator.require_room,
        )
        if self.settings.cors_origins:
            app.add_middleware(
                CORSMiddleware,
                allow_origins=self.settings.cors_origins,
                allow_methods=["POST", "GET"],
                allow_headers=["authorization", "content-type"],
            )
        app.add_middleware(AccessMiddleware, dialects=DIALECTS, metrics=self.metrics)
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
            return GatewayError(error.status_code, code, str(error.detail))
        case _:
            return GatewayError(500, "internal", "the gateway failed; see its log")
