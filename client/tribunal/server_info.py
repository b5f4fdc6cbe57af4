"""A server's models and weights, as frozen values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
class SelfCheck:
    """What the server's last self-check of one encoder found.

    texts: number of texts whose scores were compared with the export's references.
    score_difference: largest difference of a score. tolerance: the server refuses to serve beyond it.
    """

    texts: int
    score_difference: float
    tolerance: float


@dataclass(frozen=True)
class ServerInfo:
    """A server: Triton's version, the models with their readiness, and the models' weights.

    self_checks: of each encoder that was checked; empty if the server has no references.
    """

    triton_version: str
    models: dict[str, bool]
    weights: dict[str, Weights]
    self_checks: dict[str, SelfCheck] = field(default_factory=dict)


def server_document(server: ServerInfo) -> dict[str, Any]:
    """`server` as a JSON object, with `are_demo` for each model's weights."""
    weights = {
        name: {**asdict(of_model), "are_demo": of_model.are_demo} for name, of_model in server.weights.items()
    }
    return {**asdict(server), "weights": weights}


def demo_warning(weights: Mapping[str, Weights]) -> str | None:
    """A sentence that names the models with demonstration weights; None if there are none."""
    names = [name for name, of_model in weights.items() if of_model.are_demo]
    return f"weights for demonstration only: {', '.join(names)}" if names else None
