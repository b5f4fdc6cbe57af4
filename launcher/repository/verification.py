"""Checks the exported files of a model repository against the checksums in its manifest.

Run `python -m launcher.repository.verification REPOSITORY` before a server without the launcher; it needs
only Python's standard library.

A full verification hashes every file. A quick one reads a record of the last verification, and hashes only
files whose size or modification time changed. So it misses a changed file that has the same size and time.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from launcher import StartError
from launcher.repository.manifest import LABELS, MANIFEST, read_manifest, sha256

# The name is one of those that `model_repository/.gitignore` lists as made for one host.
RECORD_NAME = "local.verified.json"


def require_graphs_for_cpu(repository: Path) -> None:
    """Raise StartError if an encoder of `repository` has a packed graph, which runs only on a GPU."""
    packed = [
        name for name, model in read_manifest(repository)["models"].items() if model.get("graph") == "packed"
    ]
    if packed:
        raise StartError(
            f"{', '.join(packed)}: exported with --precision fp16, which runs only on a GPU: export with "
            "--precision fp32 or int8. For a GPU without NVIDIA's image, run `make setup GPU=1`"
        )


def require_exported(repository: Path) -> None:
    """Raise StartError unless `repository` is a model repository with the export's manifest."""
    if not (repository / "moderation" / "config.pbtxt").exists():
        raise StartError(f"{repository} is not a model repository of Tribunal: check --repository")
    if not (repository / MANIFEST).exists():
        raise StartError(
            f"{repository} has no exported models: run `make export SOURCE=demo`, or SOURCE=hub for "
            "the real weights"
        )


@dataclass(frozen=True)
class VerifiedFile:
    """A file as it was when it was last hashed.

    size: bytes. mtime_ns: modification time in nanoseconds. sha256: checksum in hexadecimal.
    """

    size: int
    mtime_ns: int
    sha256: str


def record_path(repository: Path, work_folder: Path | None) -> Path:
    """Where the record of the last verification lies: in `work_folder`, or else beside the manifest."""
    return work_folder / "verified.json" if work_folder else repository / MANIFEST.with_name(RECORD_NAME)


def verify(
    repository: Path, manifest_sha256: str | None = None, *, full: bool = True, record: Path | None = None
) -> int:
    """Compare every file that the manifest lists with its checksum; returns how many files there are.

    manifest_sha256: what the manifest's own checksum must be; None trusts the manifest that is there.
    full: hash every file; False hashes only those that differ from `record` in size or modification time.
    record: file that keeps what was verified, for the next quick verification; it is written again where it
        can be. None: nothing is kept, and every file is hashed. A record inside `repository` is not used
        together with `manifest_sha256`: whoever may change the files there may change the record too.

    Raises StartError that names each file which is missing or changed.
    """
    manifest = repository / MANIFEST
    if not manifest.exists():
        raise StartError(f"{manifest}, which holds the checksums, is missing: export the models again")
    if manifest_sha256 and sha256(manifest) != manifest_sha256.lower():
        raise StartError(f"{MANIFEST} differs from --manifest-sha256: its checksum is {sha256(manifest)}")
    try:
        expected = {
            file: checksum
            for model in read_manifest(repository)["models"].values()
            for file, checksum in model["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StartError(f"{manifest} is damaged ({error!r}): export the models again") from error
    if manifest_sha256 and record and record.resolve().is_relative_to(repository.resolve()):
        record = None
    known = {} if full or record is None else _read_record(record)
    verified, faults = _compare(repository, expected, known)
    if faults:
        raise StartError(
            f"{repository} differs from {MANIFEST}: {', '.join(faults)}. "
            "Export the models again, or restore the files"
        )
    _require_labels(repository)
    if record and verified != known:
        _write_record(record, verified)
    return len(expected)


def _require_labels(repository: Path) -> None:
    exported = read_manifest(repository)["models"].get("aegis", {}).get("labels")
    labels = (repository / LABELS).read_text("utf-8").splitlines() if exported else None
    if exported != labels:
        raise StartError(
            f"{LABELS} does not name the {len(exported)} categories that aegis was exported with: "
            "restore it, or export aegis again"
        )


def _compare(
    repository: Path, expected: Mapping[str, str], known: Mapping[str, VerifiedFile]
) -> tuple[dict[str, VerifiedFile], list[str]]:
    def read(file: str) -> VerifiedFile | str:
        try:
            # The status comes first: a file that changes while it is read is then hashed again next time.
            status = (repository / file).stat()
            last = known.get(file)
            if last == VerifiedFile(status.st_size, status.st_mtime_ns, expected[file]):
                return last
            checksum = sha256(repository / file)
        except OSError as error:
            return f"{file} cannot be read ({error.strerror})"
        if checksum != expected[file]:
            return f"{file} was changed"
        return VerifiedFile(status.st_size, status.st_mtime_ns, checksum)

    with ThreadPoolExecutor() as pool:
        found = dict(zip(sorted(expected), pool.map(read, sorted(expected)), strict=True))
    verified = {file: outcome for file, outcome in found.items() if isinstance(outcome, VerifiedFile)}
    return verified, [outcome for outcome in found.values() if isinstance(outcome, str)]


def _read_record(record: Path) -> dict[str, VerifiedFile]:
    try:
        return {
            file: VerifiedFile(**fields) for file, fields in json.loads(record.read_text("utf-8")).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        # Without a usable record every file is hashed.
        return {}


def _write_record(record: Path, verified: Mapping[str, VerifiedFile]) -> None:
    # Where the record cannot be written, the next start hashes every file again.
    with contextlib.suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        written = record.with_name(f"{record.name}.{os.getpid()}")
        written.write_text(
            json.dumps({file: asdict(entry) for file, entry in verified.items()}, indent=2), "utf-8"
        )
        written.replace(record)


def main() -> int:
    """Verify what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m launcher.repository.verification", description=__doc__)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--manifest-sha256", metavar="HEX", help="checksum that the manifest must have")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="keep what was verified in FILE, and hash only what differs from it in size or modification "
        "time (default: hash every file)",
    )
    options = parser.parse_args()
    try:
        files = verify(
            options.repository, options.manifest_sha256, full=not options.record, record=options.record
        )
    except StartError as error:
        print(f"Refused: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{options.repository}: {files} files are as they were exported", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
