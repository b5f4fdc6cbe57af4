"""Triton model `verdict`: logits of both encoders -> scores, the decision and the verdict as JSON."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic.decision_metrics import COUNTERS, Tally, all_series, report
from logic.policy import REFUSED, Policy, Toxicity
from logic.scores import category_probabilities, rejection_probabilities
from logic.spans import rows_with_spans, spans_of

# Each change of a counter is a message to Triton, which would cost every text more than its decision.
REPORT_PERIOD_S = 1.0
JUDGE_TENSORS = ("toxicity_status", "toxicity_label", "toxicity_score", "toxicity_reason")


class TritonPythonModel:
    """Each request is decided by the policy of this model's config."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the thresholds from the config and the category names from `labels.txt`."""
        config = json.loads(args["model_config"])
        labels = (Path(args["model_repository"]) / "labels.txt").read_text("utf-8").splitlines()
        thresholds = {name: value["string_value"] for name, value in config["parameters"].items()}
        self.policy = Policy.from_parameters(thresholds, labels)
        self.families = {
            name: pb_utils.MetricFamily(name=name, description=help_text, kind=pb_utils.MetricFamily.COUNTER)
            for name, help_text in COUNTERS.items()
        }
        self.counters = {
            series: self.families[series.counter].Metric(labels=series.labels)
            for series in all_series(labels)
        }
        self.tally = Tally()
        self.ending = threading.Event()
        self.reporter = threading.Thread(target=self._report, daemon=True)
        self.reporter.start()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request, or fail it alone where its logits are not finite or empty."""
        return [self._decide(request) for request in requests]

    def finalize(self) -> None:
        """Stop counting."""
        self.ending.set()
        self.reporter.join()

    def _report(self) -> None:
        while not self.ending.wait(REPORT_PERIOD_S):
            report(self.tally.take(), self.counters, _warn)

    def _decide(self, request: Any) -> Any:
        inputs = {tensor.name(): tensor for tensor in request.inputs()}

        def values(name: str) -> Any:
            return inputs[name].as_numpy()

        rejection_logits, aegis_logits = values("rejection_logits"), values("aegis_logits")
        if not (rejection_logits.size and aegis_logits.size):
            gone = pb_utils.TritonError(
                "the encoders dropped it: its caller has gone", pb_utils.TritonError.CANCELLED
            )
            return pb_utils.InferenceResponse(error=gone)
        try:
            rejection = rejection_probabilities(rejection_logits)
            categories = category_probabilities(aegis_logits)
            self.policy.require_categories(categories.shape[2])
        except (ArithmeticError, ValueError) as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        rejection_score, category_scores = rejection.max(axis=1, keepdims=True), categories.max(axis=1)
        judge = [values(name)[:, 0].tolist() for name in JUDGE_TENSORS]
        toxicities = [Toxicity.from_tensors(*row) for row in zip(*judge, strict=True)]
        if toxicities[0].status == REFUSED:
            refusal = pb_utils.TritonError(toxicities[0].reason, pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=refusal)
        verdicts = [
            self.policy.decide(*row, truncated=truncated)
            for *row, truncated in zip(
                rejection_score[:, 0].tolist(),
                category_scores.tolist(),
                toxicities,
                values("windows")[:, 0].tolist(),
                values("truncated")[:, 0].tolist(),
                strict=True,
            )
        ]
        places = values("sentences")
        for row in rows_with_spans(places):
            verdicts[row]["spans"] = spans_of(places[row], rejection[row], categories[row], self.policy)
        flagged = np.array([[verdict["flagged"]] for verdict in verdicts], dtype=np.bool_)
        documents = np.array([[json.dumps(verdict).encode()] for verdict in verdicts], dtype=np.object_)
        self.tally.add(verdicts)
        outputs = {
            "rejection_score": rejection_score,
            "category_scores": category_scores,
            "toxicity_score": values("toxicity_score"),
            "flagged": flagged,
            "verdict": documents,
        }
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, outputs[name]) for name in request.requested_output_names()]
        )


def _warn(line: str) -> None:
    pb_utils.Logger.log_warn(f"verdict: {line}")
