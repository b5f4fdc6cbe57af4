"""`manifest.json`: what a repository was filled with; its checksums vouch for the exported files.

It needs nothing but Python's own library.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

MANIFEST = Path("manifest") / "1" / "manifest.json"
LABELS = Path("verdict") / "labels.txt"


def sha256(file: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest(repository: Path) -> dict[str, Any]:
    """The manifest of `repository`, or one without models where nothing was exported yet."""
    path = repository / MANIFEST
    if not path.exists():
        return {"models": {}}
    manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write `manifest` below `folder`."""
    path = folder / MANIFEST
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
