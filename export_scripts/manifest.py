"""`manifest.json`: what a repository was filled with, and how it compares with the reference."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The images that build engines have none of the packages that sources need.
    from export_scripts.sources import Source

MANIFEST = Path("manifest") / "1" / "manifest.json"


@dataclass(frozen=True)
class Export:
    """One exported member.

    files: relative to the repository.
    packages: names of those that made the files.
    details: further entries of the manifest, such as the figures of the parity check.
    """

    source: "Source"
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


def sha256(file: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest(repository: Path) -> dict[str, Any]:
    """The manifest of `repository`, or one without members where nothing was exported yet."""
    path = repository / MANIFEST
    if not path.exists():
        return {"members": {}}
    manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write `manifest` below `folder`."""
    path = folder / MANIFEST
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
