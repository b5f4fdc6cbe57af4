"""Runs `python -m launcher` as a process of a test, and waits for its start or refusal."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from tribunal import Client

from launcher.exposure.ports import Ports
from launcher.repository.contract import CHECKOUT
from launcher.repository.manifest import read_manifest, sha256, write_manifest

READY_TIMEOUT_S = 60.0
SHARED_MEMORY_PREFIX = re.compile("shm-region-prefix-name=(.+)")


@contextmanager
def launch(repository: Path, ports: Ports, log_file: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m launcher`, and stop it unless the test has."""
    arguments = [
        *(sys.executable, "-m", "launcher", "--repository", str(repository), "--log-file", str(log_file)),
        *("--http-port", str(ports.http), "--grpc-port", str(ports.grpc)),
        *("--metrics-port", str(ports.metrics), *command),
    ]
    with subprocess.Popen(
        arguments, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    ) as launcher:
        try:
            yield launcher
        finally:
            launcher.terminate()


def wait_until_ready(launcher: subprocess.Popen[str], ports: Ports) -> str:
    """Read the launcher's messages up to the banner's last line; then the server answers."""
    assert launcher.stderr is not None
    lines = []
    for line in launcher.stderr:
        lines.append(line)
        if line.startswith("  log "):
            with Client(f"127.0.0.1:{ports.grpc}") as client:
                assert client.moderate("hello", judge="never").flagged is False
            return "".join(lines)
    raise AssertionError(f"the server did not start: {''.join(lines)}")


def refused(repository: Path, ports: Ports, tmp_path: Path, *options: str) -> str:
    with launch(repository, ports, tmp_path / "log", *options) as launcher:
        _, messages = launcher.communicate(timeout=READY_TIMEOUT_S)
    assert launcher.returncode == 1
    assert "Traceback" not in messages
    (line,) = [line for line in messages.splitlines() if line.startswith("Cannot start:")]
    return line


def shared_memory() -> set[str]:
    """Triton's shared memory, without that of servers which other programs run meanwhile."""
    own = {process.pid for process in psutil.Process().children(recursive=True)}
    others = tuple(
        match[1]
        for process in psutil.process_iter(["cmdline"])
        for match in map(SHARED_MEMORY_PREFIX.search, process.info["cmdline"] or ())
        if match and process.pid not in own
    )
    names = {path.name for path in Path("/dev/shm").glob("tribunal-*")}  # noqa: S108
    return {name for name in names if not name.startswith(others)}


def left_running(family: list[psutil.Process]) -> list[psutil.Process]:
    """The processes that still run; a zombie has ended and waits for init to reap it."""
    return [
        process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def vouch_for(repository: Path, file: str) -> None:
    """Update the checksum of `file` in the manifest, if it has one."""
    manifest = read_manifest(repository)
    for model in manifest["models"].values():
        if file in model["files"]:
            model["files"][file] = sha256(repository / file)
    write_manifest(repository, manifest)
