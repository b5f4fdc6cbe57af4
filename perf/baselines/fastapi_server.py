"""Baseline `fastapi`: the transformers pipelines behind FastAPI, the usual way to serve them without Triton.

`python -m perf.baselines.fastapi_server CHECKPOINTS PORT` serves POST /moderate.
"""

import argparse
import contextlib
import functools
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from launcher.exposure.ports import free_ports
from launcher.repository.contract import CHECKOUT
from perf.baselines.registry import EncoderFiles, Precision, RunRound
from perf.baselines.transformers_pipelines import load_pipelines
from perf.load.callers import send_workload
from perf.load.workload import WARM_UP_TEXTS, read_workload
from perf.rounds import THROUGHPUT_CALLERS, Round, passes_at

START_TIMEOUT_S = 120.0
POLL_INTERVAL_S = 0.2
REQUEST_TIMEOUT_S = 60


class ModerationRequest(BaseModel):
    """The body of a request."""

    text: str


@dataclass(frozen=True)
class FastApiBaseline:
    """The pipelines behind FastAPI, in a server process of its own."""

    name: str = "fastapi"
    description: str = "transformers pipelines behind FastAPI"
    callers: int = THROUGHPUT_CALLERS
    is_reference: bool = False
    precision: Precision = "fp32"

    @contextlib.contextmanager
    def start(self, encoders: EncoderFiles) -> Iterator[RunRound]:
        """Start the server; yields what runs a round through it."""
        port = free_ports().http
        url = f"http://127.0.0.1:{port}"
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "perf.baselines.fastapi_server",
            encoders.checkpoints,
            str(port),
        ]
        process = subprocess.Popen(
            command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until_ready(url, process)
            yield functools.partial(run_round, url)
        finally:
            process.terminate()
            process.wait()


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers; raises RequestException where it ended or took START_TIMEOUT_S."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            requests.get(f"{url}/openapi.json", timeout=1).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > deadline_s or process.poll() is not None:
                raise
            time.sleep(POLL_INTERVAL_S)
        else:
            return


def run_round(url: str, callers: int) -> Round:
    """Screen the workload through the server at `url`."""
    with requests.Session() as session:

        def screen(text: str) -> None:
            response = session.post(f"{url}/moderate", json={"text": text}, timeout=REQUEST_TIMEOUT_S)
            response.raise_for_status()

        return send_workload(screen, callers, passes_at(callers))


def main() -> None:
    """Warm the pipelines up and serve them until the process is killed."""
    parser = argparse.ArgumentParser(prog="python -m perf.baselines.fastapi_server", description=__doc__)
    parser.add_argument("checkpoints", type=Path, help="folder of the encoders' PyTorch weights")
    parser.add_argument("port", type=int, help="port to listen on, on loopback")
    options = parser.parse_args()
    screen = load_pipelines(options.checkpoints)
    for text in read_workload()[:WARM_UP_TEXTS]:
        screen(text)
    app = FastAPI()

    # FastAPI runs a plain function in its pool of threads.
    @app.post("/moderate")
    def moderate(request: ModerationRequest) -> list[Any]:
        return screen(request.text)

    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="error")


BASELINES = (FastApiBaseline(),)

if __name__ == "__main__":
    main()
