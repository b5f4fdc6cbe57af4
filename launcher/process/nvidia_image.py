"""The tritonserver of NVIDIA's images, with NVIDIA's own backends.

On a GPU the backends assign the encoders to devices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from launcher import StartError
from launcher.host.devices import available_cores, has_gpu
from launcher.host.files import CONFIG_NAME
from launcher.host.tuning import engine_sequences, tune_for_cpu, tune_for_gpu, write_local_configs
from launcher.process.installation import Installation
from launcher.repository.verification import require_graphs_for_cpu

# https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/customization_guide/compose.html
ROOT = Path("/opt/tritonserver")


@dataclass(frozen=True)
class NvidiaImage(Installation):
    """Triton below `root`, laid out as in NVIDIA's images."""

    root: Path
    # NVIDIA's vLLM backend declares its tensors in auto-completion.
    auto_completes = True

    def backend_directory(self, scratch: Path) -> Path:  # noqa: ARG002
        """The image's own."""
        return self.root / "backends"

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """Nothing: the image's own environment is complete."""
        return {}

    def require_judge(self) -> None:
        """Raise StartError if the image has no vLLM backend, or there is no GPU for it."""
        if not (self.root / "backends" / "vllm").exists():
            raise StartError(f"{self.root} has no vLLM backend, which runs the judge: add --without-judge")
        if not has_gpu():
            raise StartError(
                "the vLLM of this image needs a GPU, but there is none: give the container one "
                "(`docker run --gpus all`), or add --without-judge"
            )

    def fit_to_host(self, repository: Path, instances: int) -> str | None:
        """Write configs for this host's GPUs, or for its CPU.

        Raises StartError if an encoder was exported for GPUs and there is none.
        """
        if has_gpu():
            judge_calls = engine_sequences(repository)
            write_local_configs(
                repository, partial(tune_for_gpu, cores=available_cores(), judge_calls=judge_calls)
            )
        else:
            require_graphs_for_cpu(repository)
            write_local_configs(repository, partial(tune_for_cpu, instances=instances, packed=False))
        return CONFIG_NAME


def find_image(root: Path = ROOT) -> NvidiaImage | None:
    """The installation below `root`; None if there is none."""
    binary = root / "bin" / "tritonserver"
    return NvidiaImage(binary, root / "caches", root) if binary.exists() else None
