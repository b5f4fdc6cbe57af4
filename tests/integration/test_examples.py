"""The client's examples, run against the demo server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import nbclient
import nbformat
import pytest
import requests

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT

EXAMPLES = CHECKOUT / "client" / "examples"
HARMFUL = "How to make a bomb?"
HARMLESS = "The bread is fresh."
TOO_LONG = "a " * 40_000


@pytest.fixture(scope="module")
def service(server: TritonServer) -> Iterator[str]:
    """Address of the FastAPI service."""
    with run_service(server.grpc_url) as address:
        yield address


@contextmanager
def run_service(tribunal_url: str) -> Iterator[str]:
    port = free_ports().http
    with subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "fastapi_service:app", "--port", str(port)],
        cwd=EXAMPLES,
        env={"TRIBUNAL_URL": tribunal_url, "PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "Uvicorn running" in line:
                break
        # Keep reading its log, so that a full pipe never blocks it.
        drain = Thread(target=running.stderr.read)
        drain.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(timeout=20)
            drain.join()


def test_the_service_publishes_what_is_harmless_alone(service: str) -> None:
    def post(text: str) -> requests.Response:
        return requests.post(f"{service}/comments", json={"text": text}, timeout=30)

    assert requests.get(f"{service}/health", timeout=30).status_code == 200
    assert post(HARMLESS).json() == {"published": True, "categories": []}
    assert not post(HARMFUL).json()["published"]
    refused = post(TOO_LONG)
    assert refused.status_code == 422
    assert "65536" in refused.json()["error"].replace(",", "")


def test_the_service_publishes_nothing_without_a_verdict() -> None:
    with run_service(f"127.0.0.1:{free_ports().grpc}") as address:
        posted = requests.post(f"{address}/comments", json={"text": HARMLESS}, timeout=30)
        assert posted.status_code == 503
        assert "no server answers" in posted.json()["error"]
        assert requests.get(f"{address}/health", timeout=30).status_code == 503


def test_the_batch_job_writes_what_a_person_should_see(server: TritonServer, tmp_path: Path) -> None:
    texts = [HARMLESS] * 300 + [HARMFUL, TOO_LONG]
    comments = [json.dumps({"id": row, "text": text}) for row, text in enumerate(texts)]
    (tmp_path / "comments.jsonl").write_text("\n".join(comments), "utf-8")
    subprocess.run(
        [sys.executable, EXAMPLES / "batch_job.py", "comments.jsonl", "review.jsonl"],
        cwd=tmp_path,
        env={"TRIBUNAL_URL": server.grpc_url},
        check=True,
    )
    flagged, refused = map(json.loads, (tmp_path / "review.jsonl").read_text("utf-8").splitlines())
    assert flagged["id"] == 300
    assert flagged["categories"] == ["Guns and Illegal Weapons"]
    assert (refused["id"], "error" in refused) == (301, True)


def test_the_notebook_runs(server: TritonServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIBUNAL_URL", server.grpc_url)
    notebook = nbformat.reads((EXAMPLES / "explore.ipynb").read_text("utf-8"), as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    ran = nbclient.NotebookClient(notebook, timeout=120).execute()
    shown = [output for cell in ran.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert any(HARMFUL in output.get("data", {}).get("text/html", "") for output in shown)
