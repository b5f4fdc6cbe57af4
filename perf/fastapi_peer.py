"""The model cards' pipelines behind FastAPI: the usual way to serve them without Triton.

`python -m perf.fastapi_peer CHECKPOINTS PORT` serves POST /moderate.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from launcher.exposure.ports import free_ports
from launcher.repository.contract import CHECKOUT
from perf.peers import transformers_pipelines
from perf.rounds import Round, call_with
from perf.workload import WARMING, read_texts

START_TIMEOUT_S = 120.0


class Question(BaseModel):
    """The body of a request."""

    text: str


class FastApiPeer:
    """The server in a process of its own, idle between its rounds."""

    def __init__(self, checkpoints: Path) -> None:
        port = free_ports().http
        self._url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "perf.fastapi_peer", str(checkpoints), str(port)],
            cwd=CHECKOUT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "FastApiPeer":
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                requests.get(f"{self._url}/openapi.json", timeout=1).raise_for_status()
            except requests.RequestException:
                if time.monotonic() > deadline_s or self._process.poll() is not None:
                    self._process.kill()
                    raise
                time.sleep(0.2)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def round(self, callers: int) -> Round:
        """One pass over the workload."""
        with requests.Session() as session:

            def screen(text: str) -> None:
                session.post(f"{self._url}/moderate", json={"text": text}, timeout=60).raise_for_status()

            return call_with(screen, callers)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m perf.fastapi_peer", description=__doc__)
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    screen = transformers_pipelines(options.checkpoints)
    for text in read_texts()[:WARMING]:
        screen(text)
    app = FastAPI()

    # A plain function runs in FastAPI's pool of threads.
    @app.post("/moderate")
    def moderate(question: Question) -> list[Any]:
        answer: list[Any] = screen(question.text)
        return answer

    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="error")


if __name__ == "__main__":
    main()
