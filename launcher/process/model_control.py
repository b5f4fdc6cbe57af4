"""Loads and unloads models of a running server, over its restricted HTTP API.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_model_repository.html
"""

import contextlib
import http.client
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from launcher.process.command_line import ADMIN_HEADER

PROBE_TIMEOUT_S = 5.0
DRAIN_POLL_INTERVAL_S = 0.05

# Raised if the server does not answer, or answers with an error.
UNREACHABLE = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class ModelControl:
    """The models of one server; every method but `is_live` raises UNREACHABLE.

    address: `host:port` of the HTTP endpoint, which never has TLS.
    models: names of the models to serve. composed_of: the models of each ensemble's steps.
    load_timeout_s: maximum time for loading a model.
    """

    address: str
    admin_key: str = field(repr=False)
    models: Collection[str]
    composed_of: Mapping[str, Collection[str]]
    load_timeout_s: float

    def is_live(self) -> bool:
        """Whether the server answers at all."""
        try:
            self._ask("GET", "/v2/health/live")
        except UNREACHABLE:
            return False
        return True

    def load(self, model: str) -> None:
        """Load a model unless it is loaded."""
        self._ask("POST", f"/v2/repository/models/{model}/load", self.load_timeout_s)

    def unload(self, model: str) -> None:
        """Start to unload a model; Triton finishes once the model's requests have ended."""
        self._ask("POST", f"/v2/repository/models/{model}/unload")

    def states(self) -> dict[str, str]:
        """State of each model that the server knows, such as READY, LOADING or UNAVAILABLE."""
        return {model["name"]: model.get("state", "UNKNOWN") for model in self._index()}

    def instances(self, model: str) -> int:
        """Number of instances of a READY model."""
        groups = json.loads(self._ask("GET", f"/v2/models/{model}/config")).get("instance_group", [])
        return sum(group.get("count", 1) * max(1, len(group.get("gpus", []))) for group in groups)

    def failures(self) -> dict[str, str]:
        """Models that did not load, with Triton's reasons, which may be empty."""
        return {
            model["name"]: model.get("reason", "")
            for model in self._index()
            if model["name"] in self.models and model.get("state") != "READY"
        }

    def drain(self, timeout_s: float) -> None:
        """Reject new requests, and wait at most `timeout_s` seconds for those in flight.

        Triton before 26.04 corrupts its memory if it refuses a step of an ensemble while another step of the
        same request runs, which happens when it stops under load
        (https://github.com/triton-inference-server/core/pull/483).
        """
        for ensemble in self.composed_of:
            self.unload(ensemble)
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            states = self.states()
            if not any(states.get(ensemble) in ("READY", "UNLOADING") for ensemble in self.composed_of):
                return
            time.sleep(DRAIN_POLL_INTERVAL_S)

    def _index(self) -> list[dict[str, str]]:
        index: list[dict[str, str]] = json.loads(self._ask("POST", "/v2/repository/index"))
        return index

    def _ask(self, method: str, path: str, timeout_s: float = PROBE_TIMEOUT_S) -> bytes:
        connection = http.client.HTTPConnection(self.address, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request(method, path, headers={ADMIN_HEADER: self.admin_key})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise http.client.HTTPException(f"{path}: {response.status} {response.read()[:500]!r}")
            return response.read()
