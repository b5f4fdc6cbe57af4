"""Finds the files of Triton inside the nvidia-pytriton wheel, and assembles its backend directory."""

import ctypes
import importlib.util
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from launcher import StartError

BACKENDS = Path(__file__).parent.parent / "backends"


@dataclass(frozen=True)
class Installation:
    """Where the parts of Triton lie on this machine.

    library_folders: for LD_LIBRARY_PATH, in that order. The interpreter's own comes first, or the
    stub loads the distribution's libpython.
    """

    binary: Path
    python_backend: Path
    stub: Path
    caches: Path
    site_packages: Path
    library_folders: tuple[Path, ...]


def find_installation() -> Installation:
    """Find Triton for the running interpreter.

    Raises StartError where the wheel, its stub for this Python version, or libpython is missing.
    """
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise StartError("nvidia-pytriton, which carries tritonserver, is not installed: run `make setup`")
    site_packages = Path(spec.origin).parent.parent
    triton = site_packages / "pytriton" / "tritonserver"
    return Installation(
        binary=triton / "bin" / "tritonserver",
        python_backend=triton / "backends" / "python",
        stub=find_stub(triton / "python_backend_stubs", sys.version_info[:2]),
        caches=triton / "caches",
        site_packages=site_packages,
        library_folders=(find_libpython().parent, site_packages / "nvidia_pytriton.libs"),
    )


def find_stub(stubs: Path, python: tuple[int, int]) -> Path:
    """Path of the Python backend's stub for `python` (major, minor); StartError where there is none."""
    stub = stubs / f"{python[0]}.{python[1]}" / "triton_python_backend_stub"
    if not stub.exists():
        known = ", ".join(sorted((path.name for path in stubs.iterdir()), key=lambda name: int(name[2:])))
        raise StartError(
            f"Triton's Python backend has no stub for Python {python[0]}.{python[1]}; it has {known}. "
            "Make the virtual environment with Python 3.11: `make clean setup PYTHON=python3.11`"
        )
    return stub


def find_libpython() -> Path:
    """Path of this interpreter's shared library; StartError where it was built without one."""
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


def assemble_backends(folder: Path, installation: Installation) -> None:
    """Fill `folder` with copies of the Python backend, with this interpreter's stub, and our own backends.

    Triton refuses links: a backend's library must not lie outside of the backend directory.
    """
    shutil.copytree(installation.python_backend, folder / "python")
    shutil.copy(installation.stub, folder / "python")
    for backend in BACKENDS.iterdir():
        shutil.copytree(backend, folder / backend.name, ignore=shutil.ignore_patterns("__pycache__"))
