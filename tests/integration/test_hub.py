"""`--source hub` against a local server that answers as the hub does."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from export_scripts.hub_models import ENCODERS
from export_scripts.sources import DEMO_WEIGHTS
from launcher.repository.contract import CHECKOUT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_IDS = {model.hub_id: name for name, model in ENCODERS.items()}


class Hub(BaseHTTPRequestHandler):
    """The routes that `snapshot_download` asks for, over the demo weights.

    `refusal`: error code that every model answers with instead, as the hub's header X-Error-Code.
    """

    refusal: str | None = None

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        repository = next((hub_id for hub_id in HUB_IDS if f"/{hub_id}/" in path), None)
        if repository is None or self.refusal:
            status = 403 if self.refusal == "GatedRepo" else 404
            self.answer(status, b"{}", {"X-Error-Code": self.refusal or "RepoNotFound"})
            return
        folder = DEMO_WEIGHTS / HUB_IDS[repository]
        if path.startswith("/api/"):
            files = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
            self.answer(200, json.dumps({"id": repository, "sha": COMMIT, "siblings": files}).encode(), {})
            return
        content = (folder / path.rpartition("/")[2]).read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.refusal = None
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def export(
    tmp_path: Path, endpoint: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "export_scripts", "--source", "hub", "--models", "rejection"]
    return subprocess.run(
        [*command, "--repository", str(tmp_path / "repository"), *options],
        cwd=CHECKOUT,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_resolved_commit_is_recorded_and_the_cache_serves_offline(hub: str, tmp_path: Path) -> None:
    ran = export(tmp_path, hub, "--revision", "rejection=main")
    assert ran.returncode == 0, ran.stderr
    manifest = json.loads((tmp_path / "repository" / "manifest" / "1" / "manifest.json").read_text("utf-8"))
    record = manifest["models"]["rejection"]
    assert record["source"] == "hub:ProtectAI/distilroberta-base-rejection-v1"
    assert record["revision"] == COMMIT
    again = export(tmp_path, hub, "--revision", "rejection=main", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        ("GatedRepo", "is gated: accept its terms"),
        ("RepoNotFound", "no such model, or a private one"),
        ("RevisionNotFound", "no such revision; check --revision"),
    ],
)
def test_what_the_hub_refuses_is_said_and_nothing_is_written(
    hub: str, tmp_path: Path, refusal: str, reason: str
) -> None:
    Hub.refusal = refusal
    ran = export(tmp_path, hub)
    assert ran.returncode == 1
    assert f"rejection: {ENCODERS['rejection'].hub_id} at revision" in ran.stderr
    assert reason in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "repository").exists()


def test_offline_without_a_cache(tmp_path: Path) -> None:
    ran = export(tmp_path, "http://127.0.0.1:1", HF_HUB_OFFLINE="1")
    assert ran.returncode == 1
    assert "is not in the local cache and the hub cannot be reached" in ran.stderr
    assert not (tmp_path / "repository").exists()
