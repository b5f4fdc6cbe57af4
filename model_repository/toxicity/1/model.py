"""Triton model `toxicity`: asks the LLM about the texts that need it, and reads its answers.

One asyncio loop serves all requests at once, so that vLLM batches their generations; each request
is answered through its response sender when its last text is judged.
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
from logic.answer import ASKED_STATUSES, SKIPPED, UNAVAILABLE, Judgement, Status, read_answer, refused
from logic.asking import Band, InvalidMode, Modes, text_splitter
from logic.judging import Judging, Limits, Question

JUDGE = "judge"
# Each call of the LLM holds one thread of this process until its answer is complete.
MAX_CALLS_IN_FLIGHT = 64
# A request of many or long texts leaves calls to the others, and still fills the batches of the LLM.
MAX_CALLS_OF_REQUEST = 16
# Up to the time limit of the config, and beyond it for what it cut off.
DURATION_BUCKETS_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30]


class TritonPythonModel:
    """Joins the decoupled judge to an ensemble that answers once."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the config, and start the loop that all requests share."""
        parameters = json.loads(args["model_config"])["parameters"]
        settings = {name: value["string_value"] for name, value in parameters.items()}
        settings["judge"] = os.environ.get("TRIBUNAL_JUDGE", settings["judge"])
        self.modes = Modes.from_parameters(settings)
        self.band = Band(float(settings["auto_low"]), float(settings["auto_high"]))
        folder = Path(args["model_repository"]) / args["model_version"]
        # Triton 24.10 drops its own references to the answers of a decoupled model in a thread that
        # does not hold the GIL. Were they the last, the process's memory would be corrupted.
        self.kept: deque[list[Any]] = deque(maxlen=4 * MAX_CALLS_IN_FLIGHT)
        self._create_metrics()
        self.judging = Judging(
            ask=self._ask,
            split=text_splitter(folder / "tokenizer.json", int(settings["piece_tokens"])),
            limits=Limits(float(settings["timeout_s"]), MAX_CALLS_IN_FLIGHT, MAX_CALLS_OF_REQUEST),
            observe=self._observe,
            warn=_warn,
        )
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(MAX_CALLS_IN_FLIGHT))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests that ask nothing, and take the others on; each is answered by itself.

        None is answered with an error: while `rejection` still runs, an error of this step makes Triton 24.10
        keep the memory of the request for good, or ends it where the caller has gone. Inputs of requests that
        ask are copied: a request's memory is Triton's again once its answer is sent.
        """
        responses = []
        for request in requests:
            tensors = {tensor.name(): tensor for tensor in request.inputs()}
            try:
                asked = self._asked(tensors)
            except InvalidMode as error:
                self.invalid_modes.increment(1)
                refusal = [refused(str(error))] * len(tensors["text"].as_numpy())
                responses.append(pb_utils.InferenceResponse(_tensors(refusal)))
                continue
            # Triton marks a request whose caller has gone when it schedules it here, and never later.
            if any(asked) and request.is_cancelled():
                unheard = [UNAVAILABLE if asks else SKIPPED for asks in asked]
                responses.append(pb_utils.InferenceResponse(_tensors(unheard)))
            elif any(asked):
                inputs = {name: tensor.as_numpy().copy() for name, tensor in tensors.items()}
                answering = self._answer(inputs, asked, request.get_response_sender())
                asyncio.run_coroutine_threadsafe(answering, self.loop)
                responses.append(None)
            else:
                responses.append(pb_utils.InferenceResponse(_tensors([SKIPPED] * len(asked))))
        return responses

    def finalize(self) -> None:
        """Stop the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def _create_metrics(self) -> None:
        families = pb_utils.MetricFamily
        self.duration_family = families(
            name="tribunal_judge_duration_seconds",
            description="Time from asking the judge about a text to its answer, by what became of it.",
            kind=families.HISTOGRAM,
        )
        self.invalid_family = families(
            name="tribunal_invalid_requests_total",
            description="Requests refused for what a caller sent, by the input that was wrong.",
            kind=families.COUNTER,
        )
        self.served_family = families(
            name="tribunal_judge_served",
            description="1 where the server has a judge, 0 where it has none.",
            kind=families.GAUGE,
        )
        self.served = self.served_family.Metric(labels={})
        self.served.set(int(self.modes.judge_served))
        self.durations: dict[Status, Any] = {
            status: self.duration_family.Metric(labels={"status": status}, buckets=DURATION_BUCKETS_S)
            for status in ASKED_STATUSES
        }
        self.invalid_modes = self.invalid_family.Metric(labels={"input": "judge"})

    def _observe(self, status: Status, seconds: float) -> None:
        self.durations[status].observe(seconds)

    def _asked(self, tensors: dict[str, Any]) -> list[bool]:
        truncated = tensors["truncated"].as_numpy()
        modes = [self.modes.default] * len(truncated)
        if "judge" in tensors:
            modes = [self.modes.read(mode) for mode in tensors["judge"].as_numpy()[:, 0]]
        asked = [mode == "always" for mode in modes]
        if "auto" in modes:
            undecided = self.band.asks(tensors["aegis_logits"].as_numpy(), truncated)
            for row, mode in enumerate(modes):
                asked[row] |= mode == "auto" and bool(undecided[row])
        return asked

    async def _answer(self, inputs: dict[str, Any], asked: list[bool], sender: Any) -> None:
        try:
            judgements = iter(await self.judging.judge(_questions(inputs, asked)))
            response = pb_utils.InferenceResponse(
                _tensors([next(judgements) if asks else SKIPPED for asks in asked])
            )
        except Exception as error:  # noqa: BLE001 - an unanswered request would hang for ever
            pb_utils.Logger.log_error(f"toxicity: {error!r}")
            response = pb_utils.InferenceResponse(error=pb_utils.TritonError(repr(error)))
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

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
    pb_utils.Logger.log_warn(f"toxicity: {line}")


def _questions(inputs: dict[str, Any], asked: list[bool]) -> list[Question]:
    explain = inputs.get("explain")
    return [
        Question(inputs["text"][row, 0].decode("utf-8"), explain is None or bool(explain[row, 0]))
        for row, asks in enumerate(asked)
        if asks
    ]


def _tensors(judgements: list[Judgement]) -> list[Any]:
    def strings(values: list[str | None]) -> Any:
        return np.array([[(value or "").encode()] for value in values], dtype=np.object_)

    scores = np.array([[judgement.score] for judgement in judgements], dtype=np.float32)
    return [
        pb_utils.Tensor("toxicity_status", strings([judgement.status for judgement in judgements])),
        pb_utils.Tensor("toxicity_label", strings([judgement.label for judgement in judgements])),
        pb_utils.Tensor("toxicity_reason", strings([judgement.reason for judgement in judgements])),
        pb_utils.Tensor("toxicity_score", scores),
    ]
