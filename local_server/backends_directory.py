"""Assembles the folder that Triton's --backend-directory names."""

import shutil
from pathlib import Path

from local_server.installation import Installation

ADAPTERS = Path(__file__).parent / "backends"


def assemble_backends(folder: Path, installation: Installation) -> None:
    """Fill `folder` with copies of the Python backend, with this interpreter's stub, and our adapters.

    Triton refuses links: a backend's library must not lie outside of the backend directory.
    """
    shutil.copytree(installation.python_backend, folder / "python")
    shutil.copy(installation.stub, folder / "python")
    for adapter in ADAPTERS.iterdir():
        shutil.copytree(adapter, folder / adapter.name)
