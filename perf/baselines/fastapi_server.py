"""Baseline `fastapi`: the transformers pipelines behind FastAPI, the usual way to serve them without Triton.

`python -m perf.baselines.fastapi_server CHECKPOINTS PORT` serves POST /moderate.
"""

import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from perf.baselines.server_baseline import HttpServer, ServerBaseline, module_command
from perf.baselines.transformers_pipelines import load_pipelines

PATH = "/moderate"


class ModerationRequest(BaseModel):
    """The body of a request."""

    text: str


def main() -> None:
    """Serve the pipelines until the process is killed."""
    checkpoints, port = sys.argv[1:]
    screen = load_pipelines(Path(checkpoints))
    app = FastAPI()

    # FastAPI runs a function without `async` in its thread pool.
    @app.post(PATH)
    def moderate(request: ModerationRequest) -> Any:
        return screen([request.text])

    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error")


BASELINES = (
    ServerBaseline(
        name="fastapi",
        description="transformers pipelines behind FastAPI",
        servers=(
            HttpServer(
                module_command("perf.baselines.fastapi_server"), PATH, bodies=lambda text: [{"text": text}]
            ),
        ),
    ),
)

if __name__ == "__main__":
    main()
