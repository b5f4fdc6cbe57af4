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

    source: the checkpoint's.
    precision: number format of the served weights, such as `fp32`, `int8` or `bfloat16`.
    files: relative to the repository.
    packages: names of the Python packages that made the files.
    details: further entries of the manifest, such as the figures of the parity check.
    """

    source: Source
    precision: str
    files: tuple[Path, ...]
    packages: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    def record(self, folder: Path) -> dict[str, Any]:
        """The manifest's entry, with checksums of `files` below `folder`.

        Raises OSError if a file cannot be read.
        """
        merged_from = [part.origin() for part in self.source.merged_from]
        return {
            **self.source.origin(),
            "precision": self.precision,
            **({"merged_from": merged_from} if merged_from else {}),
            **self.details,
            "files": {str(file): sha256(folder / file) for file in self.files},
            "packages": {package: version(package) for package in self.packages},
        }
