"""Baseline `vllm`: vLLM's pooling runner in the judge's environment, a server for each encoder.

Each text needs a request to /classify of each server. Each server has its own share of the cores, because
vLLM leaves one core to its frontend by default, so on two cores both servers would compute on the same core.
vLLM runs without torch.compile, like Tribunal's judge.
"""

import functools
import os
from pathlib import Path

from export_scripts.hub_models import ENCODERS
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.process.wheel import vllm_environment
from perf.baselines.registry import EncoderFiles
from perf.baselines.server_baseline import HttpServer, ServerBaseline


def vllm_command(encoders: EncoderFiles, port: int, *, name: str) -> list[str | Path]:
    """vLLM's command for the encoder `name`, with fp32 weights instead of vLLM's default fp16."""
    cores = sorted(os.sched_getaffinity(0))[list(ENCODERS).index(name) :: len(ENCODERS)]
    return [
        *("env", f"VLLM_CPU_OMP_THREADS_BIND={','.join(map(str, cores))}"),
        *(JUDGE_ENVIRONMENT / "bin" / "python", "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", encoders.checkpoints / name, "--runner", "pooling", "--dtype", "float32"),
        *("--enforce-eager", "--host", "127.0.0.1", "--port", str(port)),
    ]


BASELINES = (
    ServerBaseline(
        name="vllm",
        description="vLLM's pooling runner",
        servers=tuple(
            HttpServer(
                functools.partial(vllm_command, name=name), "/classify", bodies=lambda text: [{"input": text}]
            )
            for name in ENCODERS
        ),
        environment={**vllm_environment(), "VLLM_NO_USAGE_STATS": "1"},
    ),
)
