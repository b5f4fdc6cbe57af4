"""Triton model `manifest`: the record of the export that filled this repository."""

from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Answers every request with the text of `manifest.json`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `manifest.json` of this version's folder."""
        path = Path(args["model_repository"]) / args["model_version"] / "manifest.json"
        self.manifest = np.array([path.read_bytes()], dtype=np.object_)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return `manifest` BYTES [1]: UTF-8 JSON."""
        return [pb_utils.InferenceResponse([pb_utils.Tensor("manifest", self.manifest)]) for _ in requests]
