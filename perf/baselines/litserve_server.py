"""Baseline `litserve`: the transformers pipelines behind LitServe, with one worker process for each core.

`python -m perf.baselines.litserve_server CHECKPOINTS PORT` serves POST /predict. A worker takes one request
at a time, LitServe's default, because the pipelines would pad a batch to its longest text.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from litserve import LitAPI, LitServer

from launcher.host.devices import available_cores
from perf.baselines.server_baseline import HttpServer, ServerBaseline, module_command
from perf.baselines.transformers_pipelines import load_pipelines


class ModerationApi(LitAPI):  # type: ignore[misc]  # it has no types
    """Answers {"text": ...} with the scores of all labels of both encoders."""

    def __init__(self, checkpoints: Path) -> None:
        super().__init__()
        self._checkpoints = checkpoints

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Load the pipelines in a worker, on one core."""
        torch.set_num_threads(1)
        self._screen = load_pipelines(self._checkpoints)

    def decode_request(self, request: dict[str, str], **_: Any) -> str:
        """Read the request's text."""
        return request["text"]

    def predict(self, x: str, **_: Any) -> Any:
        """Screen a text."""
        return self._screen([x])


def main() -> None:
    """Serve the pipelines until the process is killed."""
    checkpoints, port = sys.argv[1:]
    server = LitServer(
        ModerationApi(Path(checkpoints)), accelerator="cpu", workers_per_device=available_cores()
    )
    server.run(host="127.0.0.1", port=int(port), log_level="error", generate_client_file=False)


BASELINES = (
    ServerBaseline(
        name="litserve",
        description="transformers pipelines behind LitServe",
        servers=(
            HttpServer(
                module_command("perf.baselines.litserve_server"),
                "/predict",
                bodies=lambda text: [{"text": text}],
            ),
        ),
    ),
)

if __name__ == "__main__":
    main()
