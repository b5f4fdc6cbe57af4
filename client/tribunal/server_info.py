"""What a server runs, as frozen values."""

from dataclasses import dataclass


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
