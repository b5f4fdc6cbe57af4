"""What a server runs, as frozen values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Weights:
    """Where the weights of one model come from.

    source: `demo`, `hub:OWNER/MODEL` or `dir:PATH`.
    revision: commit on the hub, None for other sources.
    """

    source: str
    revision: str | None
    precision: str

    @property
    def are_demo(self) -> bool:
        """Whether they are for demonstration only."""
        return self.source == "demo"


@dataclass(frozen=True)
class ServerInfo:
    """What a server runs: Triton's version, its models with their readiness, and the models' weights."""

    triton_version: str
    models: dict[str, bool]
    weights: dict[str, Weights]


def server_document(server: ServerInfo) -> dict[str, Any]:
    """As JSON takes it, with `are_demo` of all weights."""
    weights = {
        name: {**asdict(of_model), "are_demo": of_model.are_demo} for name, of_model in server.weights.items()
    }
    return {**asdict(server), "weights": weights}


def demo_warning(weights: Mapping[str, Weights]) -> str | None:
    """Which models have weights for demonstration only, in a sentence; None if none has."""
    names = [name for name, of_model in weights.items() if of_model.are_demo]
    return f"weights for demonstration only: {', '.join(names)}" if names else None
