"""Triton model `verdict`: logits of both encoders, and the judge's answer if it is asked -> the verdict.

One asyncio loop serves the requests that ask the judge, so that vLLM batches their generations. Each is
answered through its response sender when its last text is judged.
"""

import asyncio
import json
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic.answer import ASKED_STATUSES, SKIPPED, UNAVAILABLE, Judgement, Status, read_answer
from logic.asking import Band, InvalidMode, Modes, text_splitter
from logic.decision_metrics import COUNTERS, Tally, all_series, report
from logic.encoded_texts import EncodedTexts
from logic.judging import JudgedText, Judging, Limits, share_of_calls
from logic.policy import Policy

JUDGE = "judge"
# The inputs that EncodedTexts.from_tensors takes.
ENCODED = (
    "rejection_logits",
    "rejection_windows",
    "aegis_logits",
    "aegis_windows",
    "windows",
    "truncated",
    "sentences",
)
CALLER_GONE = "the client disconnected"
# Leaves calls for other requests, and still fills the LLM's batches.
MAX_CALLS_OF_REQUEST = 16
# Up to the config's judge_timeout_s, and above it for answers that timed out.
DURATION_BUCKETS_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30]
# Each change of a counter is a message to Triton, which would cost every text more than its decision.
REPORT_PERIOD_S = 1.0


class TritonPythonModel:
    """Decides each request by the policy of this model's config."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the config and `labels.txt`, and start the loop that the requests share."""
        folder = Path(args["model_repository"])
        labels = (folder / "labels.txt").read_text("utf-8").splitlines()
        parameters = json.loads(args["model_config"])["parameters"]
        settings = {name: value["string_value"] for name, value in parameters.items()}
        settings["judge"] = os.environ.get("TRIBUNAL_JUDGE", settings["judge"])
        self.policy = Policy.from_parameters(settings, labels)
        self.modes = Modes.from_parameters(settings)
        self.band = Band(float(settings["auto_low"]), float(settings["auto_high"]))
        # Each call of the LLM occupies a thread of its process until the answer is complete.
        calls = share_of_calls(int(settings["judge_calls"]), json.loads(args["model_config"]))
        # Triton 24.10 drops its references to the answers of a decoupled model in a thread without the
        # GIL. If they were the last references, that would corrupt the process's memory.
        self.kept: deque[list[Any]] = deque(maxlen=4 * calls)
        self._create_metrics(labels)
        self.judging = Judging(
            ask=self._ask,
            split=text_splitter(
                folder / args["model_version"] / "tokenizer.json", int(settings["judge_piece_tokens"])
            ),
            limits=Limits(float(settings["judge_timeout_s"]), calls, min(calls, MAX_CALLS_OF_REQUEST)),
            observe=self._observe,
            warn=_warn,
        )
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(calls))
        self.loop_thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.loop_thread.start()
        self.tally = Tally()
        self.ending = threading.Event()
        self.reporter = threading.Thread(target=self._report, daemon=True)
        self.reporter.start()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests that do not ask the judge; each of the others is answered later."""
        return [self._answer(request) for request in requests]

    def finalize(self) -> None:
        """Stop the loop and the counting."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.loop_thread.join()
        self.ending.set()
        self.reporter.join()

    def _create_metrics(self, labels: list[str]) -> None:
        families = pb_utils.MetricFamily
        self.families = {
            name: families(name=name, description=help_text, kind=families.COUNTER)
            for name, help_text in COUNTERS.items()
        }
        self.counters = {
            series: self.families[series.counter].Metric(labels=series.labels)
            for series in all_series(labels)
        }
        self.duration_family = families(
            name="tribunal_judge_duration_seconds",
            description="Time from asking the judge about a text to its answer, by status.",
            kind=families.HISTOGRAM,
        )
        self.durations: dict[Status, Any] = {
            status: self.duration_family.Metric(labels={"status": status}, buckets=DURATION_BUCKETS_S)
            for status in ASKED_STATUSES
        }
        self.invalid_family = families(
            name="tribunal_invalid_requests_total",
            description="Requests refused as invalid, by the invalid input.",
            kind=families.COUNTER,
        )
        self.invalid_modes = self.invalid_family.Metric(labels={"input": "judge"})
        self.served_family = families(
            name="tribunal_judge_served",
            description="1 if the server has a judge, otherwise 0.",
            kind=families.GAUGE,
        )
        self.served = self.served_family.Metric(labels={})
        self.served.set(int(self.modes.judge_served))

    def _report(self) -> None:
        while not self.ending.wait(REPORT_PERIOD_S):
            report(self.tally.take(), self.counters, _warn)

    def _observe(self, status: Status, seconds: float) -> None:
        self.durations[status].observe(seconds)

    def _answer(self, request: Any) -> Any:
        """The response, or None if the judge is asked first."""
        inputs = {tensor.name(): tensor for tensor in request.inputs()}
        try:
            encoded = {name: inputs[name].as_numpy() for name in ENCODED}
            if not (encoded["rejection_logits"].size and encoded["aegis_logits"].size):
                # The encoders drop a request if its client has disconnected.
                return _error_response(CALLER_GONE, pb_utils.TritonError.CANCELLED)
            texts = EncodedTexts.from_tensors(**encoded)
            asked = self._asked(inputs, texts)
            outputs = request.requested_output_names()
            if not any(asked):
                return self._decide(texts, [SKIPPED] * len(asked), outputs)
            # Triton marks a request as cancelled only when it schedules it here, never later.
            if request.is_cancelled():
                return _error_response(CALLER_GONE, pb_utils.TritonError.CANCELLED)
            judged = _judged_texts(inputs, asked)
        except InvalidMode as error:
            self.invalid_modes.increment(1)
            return _error_response(str(error), pb_utils.TritonError.INVALID_ARG)
        except (ArithmeticError, ValueError) as error:
            return _error_response(str(error))
        judging = self._judge(texts, asked, judged, outputs, request.get_response_sender())
        asyncio.run_coroutine_threadsafe(judging, self.loop)
        return None

    def _asked(self, inputs: dict[str, Any], texts: EncodedTexts) -> list[bool]:
        if "judge" not in inputs:
            modes = [self.modes.default] * len(texts.truncated)
        else:
            modes = [self.modes.read(mode) for mode in inputs["judge"].as_numpy()[:, 0]]
        asked = [mode == "always" for mode in modes]
        if "auto" in modes:
            undecided = self.band.asks(texts.category_scores, texts.truncated)
            for row, mode in enumerate(modes):
                asked[row] |= mode == "auto" and bool(undecided[row])
        return asked

    async def _judge(
        self,
        texts: EncodedTexts,
        asked: list[bool],
        judged: list[JudgedText],
        outputs: list[str],
        sender: Any,
    ) -> None:
        try:
            judgements = iter(await self.judging.judge(judged))
            response = self._decide(texts, [next(judgements) if asks else SKIPPED for asks in asked], outputs)
        except Exception as error:  # noqa: BLE001 - an unanswered request would hang for ever
            pb_utils.Logger.log_error(f"verdict: {error!r}")
            response = _error_response(repr(error))
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _decide(self, texts: EncodedTexts, judgements: list[Judgement], outputs: list[str]) -> Any:
        verdicts = texts.verdicts(judgements, self.policy)
        self.tally.add(verdicts)
        tensors = {
            "rejection_score": texts.rejection_scores,
            "category_scores": texts.category_scores,
            "toxicity_score": np.array([[judgement.score] for judgement in judgements], dtype=np.float32),
            "flagged": np.array([[verdict["flagged"]] for verdict in verdicts], dtype=np.bool_),
            "verdict": np.array([[json.dumps(verdict).encode()] for verdict in verdicts], dtype=np.object_),
        }
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, tensors[name]) for name in outputs])

    async def _ask(self, text: str, explain: bool) -> Judgement:
        request = pb_utils.InferenceRequest(
            model_name=JUDGE,
            requested_output_names=["text_output", "logprobs"],
            inputs=[
                pb_utils.Tensor("text", np.array([text.encode()], dtype=np.object_)),
                pb_utils.Tensor("explain", np.array([explain])),
            ],
        )
        responses = list(await request.async_exec(decoupled=True))
        self.kept.append(responses)
        for response in responses:
            if response.has_error():
                _warn(f"the judge failed: {response.error().message()}")
                return UNAVAILABLE
            if response.output_tensors():
                text_output, logprobs = (
                    pb_utils.get_output_tensor_by_name(response, name).as_numpy()[0].decode("utf-8")
                    for name in ("text_output", "logprobs")
                )
                return read_answer(text_output, logprobs, explain=explain)
        return UNAVAILABLE


def _warn(line: str) -> None:
    pb_utils.Logger.log_warn(f"verdict: {line}")


def _error_response(message: str, *code: Any) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, *code))


def _judged_texts(inputs: dict[str, Any], asked: list[bool]) -> list[JudgedText]:
    texts = inputs["text"].as_numpy()[:, 0]
    explain = inputs["explain"].as_numpy()[:, 0] if "explain" in inputs else [True] * len(texts)
    return [
        JudgedText(text.decode("utf-8"), bool(reason))
        for text, reason, asks in zip(texts, explain, asked, strict=True)
        if asks
    ]
