"""An installed tritonserver: from NVIDIA's image or from the wheel."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class Installation(ABC):
    """A tritonserver on this machine.

    caches: the folder of Triton's cache libraries.
    auto_completes: Triton asks its backends to complete configs.
    """

    binary: Path
    caches: Path
    auto_completes: ClassVar[bool]

    @abstractmethod
    def backend_directory(self, scratch: Path) -> Path:
        """Folder of the backends; created below `scratch` if the installation has none."""

    @abstractmethod
    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Variables that tritonserver needs in addition to the inherited ones."""

    @abstractmethod
    def require_judge(self) -> None:
        """Raise StartError unless this installation can run the LLM."""

    @abstractmethod
    def fit_to_host(self, repository: Path, instances: int) -> str | None:
        """Write what fits the repository to this host; returns the name of the configs to serve, if any."""
