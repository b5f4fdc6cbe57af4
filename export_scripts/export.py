"""One exported model, as the manifest records it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from export_scripts.sources import Source
from launcher.repository.manifest import sha256


@dataclass(frozen=True)
class Export:
    """One exported model.

    files: relative to the repository.
    packages: names of those that made the files.
    details: further entries of the manifest, such as the figures of the parity check.
    """

    source: Source
    precision: str
    files: tuple[Path, ...]
    packages: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    def record(self, folder: Path) -> dict[str, Any]:
        """The manifest's entry; `files` are read from `folder` for their checksums."""
        return {
            "source": self.source.name,
            "revision": self.source.revision,
            "precision": self.precision,
            **self.details,
            "files": {str(file): sha256(folder / file) for file in self.files},
            "packages": {package: version(package) for package in self.packages},
        }
