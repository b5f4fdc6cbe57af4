"""Triton model `manifest`: the export's manifest of the served models, and the self-check's outcome."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic import self_check_info
from logic.weights_info import HELP, NAME, served_part, weights_labels


class TritonPythonModel:
    """Answers every request with the text of `manifest.json`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `manifest.json` of this version's folder, and report the sources that it names.

        The judge's weights are left out if TRIBUNAL_JUDGE, which the launcher sets, says that it is absent.
        TRIBUNAL_SELF_CHECK names the file in which the launcher writes the outcome of its self-check.
        """
        path = Path(args["model_repository"]) / args["model_version"] / "manifest.json"
        judge_served = os.environ.get("TRIBUNAL_JUDGE", "served") == "served"
        self.exported = served_part(json.loads(path.read_bytes()), judge_served=judge_served)
        gauge = pb_utils.MetricFamily.GAUGE
        self.family = pb_utils.MetricFamily(name=NAME, description=HELP, kind=gauge)
        self.models = [self.family.Metric(labels=labels) for labels in weights_labels(self.exported)]
        for model in self.models:
            model.set(1)
        self.differences = pb_utils.MetricFamily(
            name=self_check_info.NAME, description=self_check_info.HELP, kind=gauge
        )
        self.difference_of: dict[str, Any] = {}
        self.outcomes_file = os.environ.get("TRIBUNAL_SELF_CHECK")
        self.read_outcomes: bytes | None = None
        self._read()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return `manifest` BYTES [1]: UTF-8 JSON.

        The launcher sends a request after each self-check, so that the metric has its outcome.
        """
        self._read()
        return [pb_utils.InferenceResponse([pb_utils.Tensor("manifest", self.manifest)]) for _ in requests]

    def _read(self) -> None:
        """Take up the outcomes of the self-check, if they are new."""
        try:
            content = Path(self.outcomes_file).read_bytes() if self.outcomes_file else b"{}"
        except FileNotFoundError:
            content = b"{}"
        if content == self.read_outcomes:
            return
        self.read_outcomes = content
        outcomes = json.loads(content)
        manifest = self_check_info.with_outcomes(self.exported, outcomes)
        self.manifest = np.array([json.dumps(manifest).encode()], dtype=np.object_)
        for name, difference in self_check_info.score_differences(outcomes).items():
            if name not in self.difference_of:
                self.difference_of[name] = self.differences.Metric(labels={"model": name})
            self.difference_of[name].set(difference)
