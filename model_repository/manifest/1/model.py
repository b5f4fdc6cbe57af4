"""Triton model `manifest`: the record of the export that filled this repository."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic.weights_info import HELP, NAME, weights_labels


class TritonPythonModel:
    """Answers every request with the text of `manifest.json`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `manifest.json` of this version's folder, and report the sources that it names."""
        path = Path(args["model_repository"]) / args["model_version"] / "manifest.json"
        content = path.read_bytes()
        self.manifest = np.array([content], dtype=np.object_)
        self.family = pb_utils.MetricFamily(name=NAME, description=HELP, kind=pb_utils.MetricFamily.GAUGE)
        self.models = [self.family.Metric(labels=labels) for labels in weights_labels(json.loads(content))]
        for model in self.models:
            model.set(1)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return `manifest` BYTES [1]: UTF-8 JSON."""
        return [pb_utils.InferenceResponse([pb_utils.Tensor("manifest", self.manifest)]) for _ in requests]
