"""Runs real clients, each in its own environment, against a real gateway in front of the demo server.

`python -m tests.clients.run [NAME ...]` runs all clients, or the named ones. A client is a folder here with
`requirements.txt` and `check.py`, which runs as `check.py URL`, exits with 0 on success, and finds in its
environment:
  TRIBUNAL_KEY          a caller's key, for the policy `default`
  TRIBUNAL_STRICT_KEY   another caller's key, for the policy `strict`, which flags refusals too
  TRIBUNAL_LIMITED_KEY  the key of a caller with a limit of two requests an hour
  TRIBUNAL_VERDICTS     a JSON file with verdicts of `tribunal.Client`, by text
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from tribunal import Client
from tribunal.gateway.admission.keys import Key, hash_key, new_key

from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from tests.integration.conftest import export
from tests.integration.gateway.conftest import running_gateway

FOLDER = CHECKOUT / "tests" / "clients"
ENVIRONMENTS = CHECKOUT / "build" / "clients"
TEXTS = CHECKOUT / "export_scripts" / "demo" / "text" / "demo.txt"
UV = CHECKOUT / ".venv" / "bin" / "uv"
CHECK_TIMEOUT_S = 300
POLICIES = """[policies.strict]
refusal = "flag"

[policies.sentences]
spans = true
"""


def main(names: Sequence[str]) -> int:
    """Run the clients `names`, or all; returns the exit status."""
    known = sorted(check.parent.name for check in FOLDER.glob("*/check.py"))
    if unknown := set(names) - set(known):
        typer.echo(f"no such client: {', '.join(sorted(unknown))}; known: {', '.join(known)}", err=True)
        return 2
    interpreters = {name: environment(name) for name in names or known}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        repository = folder / "repository"
        export("demo", repository)
        options = ServerOptions(repository, ports=free_ports(), log_file=folder / "tritonserver.log")
        with TritonServer(options) as server:
            keys = write_keys(folder / "keys.toml")
            (folder / "policies.toml").write_text(POLICIES, "utf-8")
            files = ("--keys", str(folder / "keys.toml"), "--policies", str(folder / "policies.toml"))
            verdicts = write_verdicts(folder / "verdicts.json", server.grpc_url)
            given = {**keys, "TRIBUNAL_VERDICTS": str(verdicts)}
            passed = []
            for name, interpreter in interpreters.items():
                # Each check needs its own gateway, because it exhausts the limited key.
                with running_gateway(server.grpc_url, folder, *files) as gateway:
                    passed.append(check(name, interpreter, gateway.http_url, given))
    return 0 if all(passed) else 1


def environment(name: str) -> Path:
    """The interpreter of a client's environment, which is rebuilt if its requirements have changed."""
    folder = ENVIRONMENTS / name
    requirements = FOLDER / name / "requirements.txt"
    interpreter = folder / "bin" / "python"
    made_from = folder / "requirements.sha256"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not (made_from.is_file() and made_from.read_text("utf-8") == digest):
        typer.echo(f"{name}: installing")
        environ = {"UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", ""), **os.environ}
        made = ("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        filled = ("pip", "sync", "--quiet", "--python", str(interpreter), str(requirements))
        for command in (made, filled):
            subprocess.run([UV, *command], env=environ, check=True)
        made_from.write_text(digest, "utf-8")
    return interpreter


def write_keys(file: Path) -> dict[str, str]:
    """Write the callers' hashed keys; returns the keys by their environment variables."""
    callers = {
        "TRIBUNAL_KEY": ("alice", "default", None),
        "TRIBUNAL_STRICT_KEY": ("bob", "strict", None),
        "TRIBUNAL_SENTENCES_KEY": ("dora", "sentences", None),
        "TRIBUNAL_LIMITED_KEY": ("carol", "default", "2/hour"),
    }
    keys, lines = {}, []
    for variable, (name, policy, rate_limit) in callers.items():
        keys[variable] = new_key()
        record = Key(sha256=hash_key(keys[variable]), policy=policy, rate_limit=rate_limit)
        fields = [f'{field} = "{value}"' for field, value in record.model_dump().items() if value]
        lines += [f"[keys.{name}]", *fields]
    file.write_text("\n".join(lines), "utf-8")
    return keys


def write_verdicts(file: Path, url: str) -> Path:
    """Write the verdicts of `tribunal.Client` for the demo's texts."""
    texts = TEXTS.read_text("utf-8").splitlines()
    with Client(url) as client:
        verdicts = {text: client.moderate(text).as_document() for text in texts}
    file.write_text(json.dumps(verdicts), "utf-8")
    return file


def check(name: str, interpreter: Path, url: str, given: Mapping[str, str]) -> bool:
    """Run a client's check and print the result; returns whether it passed."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    try:
        ran = subprocess.run(
            [interpreter, FOLDER / name / "check.py", url],
            env={**kept, **given, "PYTHONUNBUFFERED": "1", "ORT_DISABLE_TELEMETRY": "1"},
            capture_output=True,
            text=True,
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        typer.echo(f"{name}: FAILED: no end within {CHECK_TIMEOUT_S} s")
        return False
    if ran.returncode == 0:
        typer.echo(f"{name}: passed")
        return True
    typer.echo(f"{name}: FAILED with {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
