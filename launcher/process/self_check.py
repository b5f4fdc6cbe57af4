"""Asks a running server's encoders for the export's reference texts, and refuses other scores.

A changed graph, driver, backend or device that computes something else is found before a caller is answered.
"""

import contextlib
import http.client
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from launcher import StartError
from launcher.process.model_control import UNREACHABLE, ModelControl
from launcher.repository.self_check import Floats, Outcome, Reference, plan_requests, request_tensors

ANSWER_TIMEOUT_S = 30.0
# Requests in flight to one encoder.
CONCURRENCY = 4
# The model that tells callers the outcome.
MANIFEST_MODEL = "manifest"


class SelfCheckError(StartError):
    """An encoder computes other scores than the export's references.

    model: its name.
    """

    def __init__(self, model: str, message: str) -> None:
        super().__init__(message)
        self.model = model


@dataclass
class SelfCheck:
    """The self-check of one running server.

    references: of the encoders to check. file: receives the outcomes, for the model `manifest`.
    on_gpu: the encoders may compute on a GPU. outcomes: the last one of each encoder that passed.
    """

    control: ModelControl
    references: Mapping[str, Reference]
    file: Path
    on_gpu: bool
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def check_all(self) -> None:
        """Check all encoders at the same time; raises as `check` does."""
        with ThreadPoolExecutor(max(1, len(self.references))) as pool:
            list(pool.map(self.check, self.references))

    def check(self, model: str) -> None:
        """Ask `model` for its texts, and record the outcome; a model without references passes.

        Raises SelfCheckError if a score differs by more than the tolerance, UNREACHABLE without an answer.
        """
        reference = self.references.get(model)
        if reference is None:
            return
        # Each GPU has an instance. Requests at the same time reach several; instances on a CPU are alike.
        rounds = self.control.instances(model) if self.on_gpu else 1
        outcome = max(self._compare(model, reference, rounds), key=lambda outcome: outcome.score_difference)
        if not outcome.passed:
            raise SelfCheckError(
                model,
                f"{model} computes other scores than PyTorch at the export: {outcome.label} of a known text "
                f"differs by {outcome.score_difference:.2g}, the tolerance is {outcome.tolerance:g}. Export "
                "the model again; if it is refused again, the device, driver or Triton backend of this host "
                "computes something else: serve on another",
            )
        self._record(model, outcome)

    def _compare(self, model: str, reference: Reference, rounds: int) -> list[Outcome]:
        """The outcome of each of `rounds` rounds, which ask for all texts at the same time.

        Their order is random, so that a response cache cannot answer from before a reload.
        """
        random = np.random.default_rng()
        orders = [random.permutation(len(reference.input_ids)).tolist() for _ in range(rounds)]
        plans = [plan_requests(order, alone=reference.alone) for order in orders]
        workers = 1 if reference.alone else CONCURRENCY * rounds
        answers: list[Floats] = [np.full_like(reference.scores, np.nan) for _ in range(rounds)]
        with ThreadPoolExecutor(workers) as pool:
            asked = []
            for answer, plan in zip(answers, plans, strict=True):
                for texts, windows in plan:
                    input_ids = [reference.input_ids[text] for text in texts]
                    asked.append((answer, texts, pool.submit(self._ask, model, input_ids, windows)))
        for answer, texts, logits in asked:
            if logits.result().shape[-1] != len(reference.labels):
                return [reference.compare(logits.result(), on_gpu=self.on_gpu)]
            answer[texts] = logits.result()
        return [reference.compare(answer, on_gpu=self.on_gpu) for answer in answers]

    def _ask(self, model: str, texts: Sequence[Sequence[int]], windows: int) -> Floats:
        """Logits FP32 [texts, labels] of one request; raises UNREACHABLE."""
        input_ids, attention_mask = request_tensors(texts, windows)
        answer = self._infer(
            model,
            [
                {"name": name, "datatype": "INT32", "shape": tensor.shape, "data": tensor.ravel().tolist()}
                for name, tensor in (("input_ids", input_ids), ("attention_mask", attention_mask))
            ],
        )
        try:
            (logits,) = (tensor for tensor in json.loads(answer)["outputs"] if tensor["name"] == "logits")
            return np.array(logits["data"], np.float32).reshape(len(texts), -1)
        except (ValueError, KeyError, TypeError) as error:
            raise http.client.HTTPException(f"{model} gives no logits: {answer[:200]!r}") from error

    def _record(self, model: str, outcome: Outcome) -> None:
        """Write all outcomes, and let the model `manifest` read them."""
        with self._writing:
            self.outcomes[model] = outcome
            written = self.file.with_name(f"{self.file.name}.new")
            documents = {name: passed.as_dict() for name, passed in self.outcomes.items()}
            written.write_text(json.dumps(documents), "utf-8")
            written.replace(self.file)
        # If `manifest` does not serve now, it reads the file when it is loaded.
        with contextlib.suppress(*UNREACHABLE):
            self._infer(MANIFEST_MODEL, [])

    def _infer(self, model: str, inputs: list[dict[str, object]]) -> bytes:
        connection = http.client.HTTPConnection(self.control.address, timeout=ANSWER_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request("POST", f"/v2/models/{model}/infer", body=json.dumps({"inputs": inputs}))
            response = connection.getresponse()
            content = response.read()
            if response.status != http.HTTPStatus.OK:
                raise http.client.HTTPException(f"{model}: {response.status} {content[:500]!r}")
            return content


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """The outcomes in words: the texts, and the largest difference of each model, the largest first."""
    ranked = sorted(outcomes.items(), key=lambda item: -item[1].score_difference)
    texts = " or ".join(str(count) for count in sorted({outcome.texts for outcome in outcomes.values()}))
    differences = ", ".join(f"{outcome.score_difference:.1e} ({model})" for model, outcome in ranked)
    return f"{texts} texts a model, largest difference {differences}"
