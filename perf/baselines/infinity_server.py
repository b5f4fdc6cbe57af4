"""Baseline `infinity`: Infinity with its torch engine, one server for both encoders.

Each text needs two requests to /classify, one for each encoder. Infinity has its own environment, because its
packages conflict with Tribunal's.
"""

from pathlib import Path

from export_scripts.hub_models import ENCODERS
from perf.baselines.other_environment import install
from perf.baselines.registry import EncoderFiles
from perf.baselines.server_baseline import HttpServer, ServerBaseline

PACKAGES = ("infinity-emb[server,torch,optimum]==0.0.78", "torch==2.13.0", "transformers==4.57.6")


def infinity_command(encoders: EncoderFiles, port: int) -> list[str | Path]:
    """Infinity's command; installs Infinity if it is missing."""
    models = [
        argument
        for name in ENCODERS
        for argument in ("--model-id", encoders.checkpoints / name, "--served-model-name", name)
    ]
    options = ["--engine", "torch", "--device", "cpu", "--no-model-warmup"]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return [install("infinity", PACKAGES) / "infinity_emb", "v2", *models, *options, *address]


BASELINES = (
    ServerBaseline(
        name="infinity",
        description="Infinity, torch engine",
        servers=(
            HttpServer(
                infinity_command,
                "/classify",
                bodies=lambda text: [{"model": name, "input": [text]} for name in ENCODERS],
            ),
        ),
        environment={"INFINITY_ANONYMOUS_USAGE_STATS": "0"},
    ),
)
