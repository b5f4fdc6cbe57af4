"""Baseline `infinity`: Infinity with its torch engine, one server of both encoders.

A text is two requests to /classify, one for each encoder. Infinity is installed in an environment of its own,
because its packages and Tribunal's exclude each other.
"""

from pathlib import Path

from export_scripts.hub_models import ENCODERS
from perf.baselines.other_environment import install
from perf.baselines.registry import EncoderFiles
from perf.baselines.server_baseline import HttpServer, ServerBaseline

PACKAGES = ("infinity-emb[server,torch,optimum]==0.0.78", "torch==2.13.0", "transformers==4.57.6")


def infinity_command(encoders: EncoderFiles, port: int) -> list[str | Path]:
    """The command of Infinity, which this installs unless that was done."""
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
