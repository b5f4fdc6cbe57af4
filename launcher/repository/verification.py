"""Checks the exported files of a model repository against the checksums in its manifest.

`python -m launcher.repository.verification REPOSITORY` does it alone, before a server that has no launcher;
it needs nothing but Python's own library.
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from launcher import StartError
from launcher.repository.manifest import LABELS, MANIFEST, read_manifest, sha256


def require_exported(repository: Path) -> None:
    """Raise StartError unless `repository` is a model repository with the export's manifest."""
    if not (repository / "moderation" / "config.pbtxt").exists():
        raise StartError(f"{repository} is no model repository of Tribunal: check --repository")
    if not (repository / MANIFEST).exists():
        raise StartError(
            f"{repository} holds no exported models: run `make export SOURCE=demo`, or SOURCE=hub for "
            "the real weights"
        )


def verify(repository: Path, manifest_sha256: str | None = None) -> int:
    """Compare every file that the manifest lists with its checksum; returns how many there are.

    manifest_sha256: what the manifest's own checksum must be; None trusts the manifest that is there.

    Raises StartError that names each file which is missing or changed.
    """
    manifest = repository / MANIFEST
    if not manifest.exists():
        raise StartError(f"{manifest}, which holds the checksums, is missing: export the models again")
    if manifest_sha256 and sha256(manifest) != manifest_sha256.lower():
        raise StartError(f"{MANIFEST} is not the one whose checksum was given: its own is {sha256(manifest)}")
    try:
        expected = {
            file: checksum
            for model in read_manifest(repository)["models"].values()
            for file, checksum in model["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StartError(f"{manifest} is damaged ({error!r}): export the models again") from error
    faults = list(_faults(repository, expected))
    if faults:
        raise StartError(
            f"{repository} is not what {MANIFEST} says was exported: {', '.join(faults)}. "
            "Export the models again, or restore the files"
        )
    _require_labels(repository)
    return len(expected)


def _require_labels(repository: Path) -> None:
    exported = read_manifest(repository)["models"].get("aegis", {}).get("labels")
    labels = (repository / LABELS).read_text("utf-8").splitlines() if exported else None
    if exported != labels:
        raise StartError(
            f"{LABELS} does not name the {len(exported)} categories that aegis was exported with: "
            "restore it, or export aegis again"
        )


def _faults(repository: Path, expected: dict[str, str]) -> Iterator[str]:
    def fault(file: str) -> str | None:
        try:
            return None if sha256(repository / file) == expected[file] else f"{file} was changed"
        except OSError as error:
            return f"{file} cannot be read ({error.strerror})"

    with ThreadPoolExecutor() as pool:
        yield from filter(None, pool.map(fault, sorted(expected)))


def main() -> int:
    """Verify what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m launcher.repository.verification", description=__doc__)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--manifest-sha256", metavar="HEX", help="checksum that the manifest must have")
    options = parser.parse_args()
    try:
        files = verify(options.repository, options.manifest_sha256)
    except StartError as error:
        print(f"Refused: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{options.repository}: {files} files are as they were exported", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
