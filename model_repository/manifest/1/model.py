"""Triton model `manifest`: the export's manifest, restricted to the served models."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic.weights_info import HELP, NAME, served_part, weights_labels


class TritonPythonModel:
    """Answers every request with the text of `manifest.json`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `manifest.json` of this version's folder, and report the sources that it names.

        The judge's weights are left out if TRIBUNAL_JUDGE, which the launcher sets, says that it is absent.
        """
        path = Path(args["model_repository"]) / args["model_version"] / "manifest.json"
        judge_served = os.environ.get("TRIBUNAL_JUDGE", "served") == "served"
        manifest = served_part(json.loads(path.read_bytes()), judge_served=judge_served)
        self.manifest = np.array([json.dumps(manifest).encode()], dtype=np.object_)
        self.family = pb_utils.MetricFamily(name=NAME, description=HELP, kind=pb_utils.MetricFamily.GAUGE)
        self.models = [self.family.Metric(labels=labels) for labels in weights_labels(manifest)]
        for model in self.models:
            model.set(1)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return `manifest` BYTES [1]: UTF-8 JSON."""
        return [pb_utils.InferenceResponse([pb_utils.Tensor("manifest", self.manifest)]) for _ in requests]
