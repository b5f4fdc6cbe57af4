"""What HTTP and gRPC share: policies, callers, the moderator and the metrics."""

import logging
from dataclasses import replace

from tribunal.errors import InvalidInput
from tribunal.gateway.admission.authentication import Authenticator
from tribunal.gateway.admission.keys import Keys
from tribunal.gateway.metrics import Metrics
from tribunal.gateway.moderation.moderator import Moderator
from tribunal.gateway.moderation.policies import Policies, load_policies
from tribunal.gateway.moderation.triton import Triton
from tribunal.gateway.settings import GatewaySettings

log = logging.getLogger("tribunal.gateway")
UNLIMITED = 2**31


class GatewayState:
    """The state of one gateway.

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

    def reload(self) -> None:
        """Reload policies and keys; if a file is invalid, keep the old ones."""
        try:
            self.policies, self.authenticator.keys = self._read()
        except InvalidInput as error:
            log.error("policies and keys were not reloaded: %s", error)
            return
        log.info("policies and keys were reloaded: %s", ", ".join(self.policies.by_name))

    def _read(self) -> tuple[Policies, Keys]:
        policies = load_policies(self.settings.policies_file)
        return Policies(policies), Keys.load(self.settings.keys_file, policies)
