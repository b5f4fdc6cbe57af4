"""The tritonserver inside the nvidia-pytriton wheel, which runs without Docker on CPUs and on GPUs.

The wheel has only Triton's Python backend, so ours replace those for ONNX Runtime and vLLM.
"""

import ctypes
import importlib.util
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnxruntime

from launcher import StartError
from launcher.host.devices import available_cores, has_gpu
from launcher.host.files import CONFIG_NAME
from launcher.host.judge_environment import require_judge_environment
from launcher.host.prepacking import prepack_encoders
from launcher.host.tuning import engine_sequences, tune_for_cpu, tune_for_gpu, write_local_configs
from launcher.process.environment import joined
from launcher.process.installation import Installation
from launcher.repository.verification import require_graphs_for_cpu

BACKENDS = Path(__file__).parent.parent / "backends"
# vLLM on CPU: its cache in GiB.
VLLM_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # Otherwise it compiles a helper with a C++ compiler, which the host may lack.
    "TORCHDYNAMO_DISABLE": "1",
}


def vllm_environment() -> dict[str, str]:
    """Variables of the processes that run vLLM on this host."""
    return {} if uses_gpu() else dict(VLLM_ENVIRONMENT)


@dataclass(frozen=True)
class Wheel(Installation):
    """Triton 24.10 from PyPI.

    library_folders: for LD_LIBRARY_PATH, in that order. The interpreter's own comes first, or the
    stub loads the distribution's libpython.
    """

    python_backend: Path
    stub: Path
    site_packages: Path
    library_folders: tuple[Path, ...]
    # The configs written for the host declare every tensor of our backends.
    auto_completes = False

    def backend_directory(self, scratch: Path) -> Path:
        """Copy the Python backend, with this interpreter's stub, and our own backends below `scratch`.

        Triton refuses links: a backend's library must be inside the backend directory.
        """
        folder = scratch / "backends"
        shutil.copytree(self.python_backend, folder / "python")
        shutil.copy(self.stub, folder / "python")
        for backend in BACKENDS.iterdir():
            shutil.copytree(backend, folder / backend.name, ignore=shutil.ignore_patterns("__pycache__"))
        return folder

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Search paths for the server's libraries and the stubs' packages."""
        # site-packages lies in <environment>/lib/pythonX.Y.
        binaries = self.site_packages.parents[2] / "bin"
        return {
            "LD_LIBRARY_PATH": joined(*self.library_folders, inherited.get("LD_LIBRARY_PATH")),
            "PYTHONPATH": joined(self.site_packages, inherited.get("PYTHONPATH")),
            "PATH": joined(binaries, inherited.get("PATH")),
            **vllm_environment(),
        }

    def require_judge(self) -> None:
        """Raise StartError unless the environment that runs vLLM was made."""
        require_judge_environment()

    def fit_to_host(self, repository: Path, instances: int) -> str | None:
        """Write configs for this host's GPUs; or pack the encoders' weights and write configs for its CPU.

        Raises StartError if an encoder was exported for GPUs and none can be used.
        """
        if uses_gpu():
            tune = partial(
                tune_for_gpu,
                cores=available_cores(),
                judge_calls=engine_sequences(repository),
                own_backends=True,
            )
            write_local_configs(repository, tune)
            return CONFIG_NAME
        require_graphs_for_cpu(repository)
        prepack_encoders(repository)
        write_local_configs(repository, partial(tune_for_cpu, instances=instances, packed=True))
        return CONFIG_NAME


def uses_gpu() -> bool:
    """Whether this host has a GPU and `make setup GPU=1` installed what the encoders need to use it."""
    return has_gpu() and "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def find_wheel() -> Wheel:
    """Find Triton for the running interpreter.

    Raises StartError if the wheel, its stub for this Python version, or libpython is missing.
    """
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise StartError("nvidia-pytriton, which contains tritonserver, is not installed: run `make setup`")
    site_packages = Path(spec.origin).parent.parent
    triton = site_packages / "pytriton" / "tritonserver"
    return Wheel(
        binary=triton / "bin" / "tritonserver",
        caches=triton / "caches",
        python_backend=triton / "backends" / "python",
        stub=find_stub(triton / "python_backend_stubs", sys.version_info[:2]),
        site_packages=site_packages,
        library_folders=(find_libpython().parent, site_packages / "nvidia_pytriton.libs"),
    )


def find_stub(stubs: Path, python: tuple[int, int]) -> Path:
    """Path of the Python backend's stub for `python` (major, minor); raises StartError if there is none."""
    stub = stubs / f"{python[0]}.{python[1]}" / "triton_python_backend_stub"
    if not stub.exists():
        known = ", ".join(sorted((path.name for path in stubs.iterdir()), key=lambda name: int(name[2:])))
        raise StartError(
            f"Triton's Python backend has no stub for Python {python[0]}.{python[1]}; it has {known}. "
            "Make the virtual environment with Python 3.11: `make clean setup PYTHON=python3.11`"
        )
    return stub


def find_libpython() -> Path:
    """Path of this interpreter's shared library; raises StartError if it was built without one."""
    name = str(sysconfig.get_config_var("INSTSONAME"))
    if ".so" not in name:
        name = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"
    library = Path(str(sysconfig.get_config_var("LIBDIR"))) / name
    if not library.exists():
        raise StartError(
            f"{library} is missing, and Triton's Python backend needs it: install the distribution's "
            f"package libpython{sys.version_info[0]}.{sys.version_info[1]}, or use a Python that was "
            "built with --enable-shared"
        )
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        raise StartError(f"{library} cannot be loaded: {error}. Reinstall this Python") from error
    return library
