"""Triton model `toxicity`: asks the LLM about the texts that need it, and reads its answers.

One asyncio loop serves all requests at once, so that vLLM batches their generations; each request
is answered through its response sender when its last text is judged.
"""

import asyncio
import json
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic.answer import ASKED_STATUSES, Judgement, read_answer, worst
from logic.asking import Band, InvalidMode, read_mode, text_splitter

JUDGE = "judge"
# Each call of the LLM holds one thread of this process until its answer is complete.
MAX_CALLS_IN_FLIGHT = 64
INPUTS = ("text", "judge", "explain", "aegis_logits")
# Up to the time limit of the config, and beyond it for what it cut off.
DURATION_BUCKETS_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30]
SKIPPED = Judgement("skipped")
UNAVAILABLE = Judgement("unavailable")


class TritonPythonModel:
    """Joins the decoupled judge to an ensemble that answers once."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the config, and start the loop that all requests share."""
        parameters = json.loads(args["model_config"])["parameters"]
        settings = {name: value["string_value"] for name, value in parameters.items()}
        self.default_mode = read_mode(settings["default_mode"].encode())
        self.band = Band(float(settings["auto_low"]), float(settings["auto_high"]))
        self.timeout_s = float(settings["timeout_s"])
        folder = Path(args["model_repository"]) / args["model_version"]
        self.split = text_splitter(folder / "tokenizer.json", int(settings["piece_tokens"]))
        # Triton 24.10 drops its own references to the answers of a decoupled model in a thread that
        # does not hold the GIL. Were they the last, the process's memory would be corrupted.
        self.kept: deque[list[Any]] = deque(maxlen=4 * MAX_CALLS_IN_FLIGHT)
        self._create_metrics()
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(MAX_CALLS_IN_FLIGHT))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests that ask nothing, and take the others on; each is answered by itself.

        Inputs are copied here: a request's memory is Triton's again once its answer is sent.
        """
        responses = []
        for request in requests:
            inputs = {name: _input(request, name) for name in INPUTS}
            try:
                asked = self._asked(inputs)
            except InvalidMode as error:
                self.invalid_modes.increment(1)
                refusal = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
                responses.append(pb_utils.InferenceResponse(error=refusal))
                continue
            if any(asked):
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
        self.durations = {
            status: self.duration_family.Metric(labels={"status": status}, buckets=DURATION_BUCKETS_S)
            for status in ASKED_STATUSES
        }
        self.invalid_modes = self.invalid_family.Metric(labels={"input": "judge"})

    def _asked(self, inputs: dict[str, Any]) -> list[bool]:
        modes = inputs["judge"]
        undecided = self.band.asks(inputs["aegis_logits"])
        asked = []
        for row in range(len(inputs["text"])):
            mode = self.default_mode if modes is None else read_mode(modes[row, 0])
            asked.append(mode == "always" or (mode == "auto" and bool(undecided[row])))
        return asked

    async def _answer(self, inputs: dict[str, Any], asked: list[bool], sender: Any) -> None:
        try:
            response = pb_utils.InferenceResponse(_tensors(await self._judge(inputs, asked)))
        except Exception as error:  # noqa: BLE001 - an unanswered request would hang for ever
            pb_utils.Logger.log_error(f"toxicity: {error!r}")
            response = pb_utils.InferenceResponse(error=pb_utils.TritonError(repr(error)))
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    async def _judge(self, inputs: dict[str, Any], asked: list[bool]) -> list[Judgement]:
        explain = inputs["explain"]
        judgements = [
            self._judge_text(
                inputs["text"][row, 0].decode("utf-8"), explain=explain is None or bool(explain[row, 0])
            )
            if asks
            else _skip()
            for row, asks in enumerate(asked)
        ]
        return list(await asyncio.gather(*judgements))

    async def _judge_text(self, text: str, *, explain: bool) -> Judgement:
        started_s = time.monotonic()
        judgement = await self._judge_pieces(text, explain=explain)
        self.durations[judgement.status].observe(time.monotonic() - started_s)
        return judgement

    async def _judge_pieces(self, text: str, *, explain: bool) -> Judgement:
        pieces = self.split(text)
        asking = asyncio.gather(*(self._ask(piece, explain=explain) for piece in pieces))
        try:
            return worst(await asyncio.wait_for(asking, self.timeout_s))
        except TimeoutError:
            pb_utils.Logger.log_warn(f"toxicity: no answer within {self.timeout_s:g} s")
            return UNAVAILABLE

    async def _ask(self, text: str, *, explain: bool) -> Judgement:
        request = pb_utils.InferenceRequest(
            model_name=JUDGE,
            requested_output_names=["text_output", "logprobs"],
            inputs=[
                pb_utils.Tensor("text", np.array([text.encode()], dtype=np.object_)),
                pb_utils.Tensor("explain", np.array([explain])),
            ],
        )
        try:
            responses = list(await request.async_exec(decoupled=True))
        except pb_utils.TritonModelException as error:
            pb_utils.Logger.log_warn(f"toxicity: the judge cannot be asked: {error}")
            return UNAVAILABLE
        self.kept.append(responses)
        for response in responses:
            if response.has_error():
                pb_utils.Logger.log_warn(f"toxicity: the judge failed: {response.error().message()}")
                return UNAVAILABLE
            if response.output_tensors():
                text_output, logprobs = (
                    pb_utils.get_output_tensor_by_name(response, name).as_numpy()[0].decode("utf-8")
                    for name in ("text_output", "logprobs")
                )
                return read_answer(text_output, logprobs, explain=explain)
        return UNAVAILABLE


async def _skip() -> Judgement:
    return SKIPPED


def _input(request: Any, name: str) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy().copy()


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
