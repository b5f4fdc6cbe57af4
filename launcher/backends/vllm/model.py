"""Triton backend `vllm` for servers that lack NVIDIA's: the same model.json, the same tensors.

It refuses what NVIDIA's backend refuses, and also LoRA adapters, several sequences, and sampling
parameters of the wrong type. It honours ENABLE_VLLM_HEALTH_CHECK and REPORT_CUSTOM_METRICS.
`1/model.json` holds the arguments of vllm.AsyncEngineArgs. The engine runs on an asyncio loop in a
thread of its own.
"""

import locale
import os
import sys

# By default the stub's interpreter reads torch's files as ASCII.
locale.setlocale(locale.LC_ALL, "")
# Otherwise the server's own packages precede this model's environment, also in the engine's processes.
foreign = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
sys.path[:] = [folder for folder in sys.path if folder not in foreign]

import asyncio  # noqa: E402
import json  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import triton_python_backend_utils as pb_utils  # noqa: E402
from logic.engine_metrics import Tally  # noqa: E402
from logic.generation import output_tensors  # noqa: E402
from logic.metrics_reporter import Reporter, StatLogger  # noqa: E402
from logic.question import Question, read_question, read_sampling_parameters  # noqa: E402
from logic.requirements import is_enabled, read_engine_arguments, require_servable  # noqa: E402
from logic.sampling import require_settable  # noqa: E402
from vllm import AsyncEngineArgs, SamplingParams  # noqa: E402
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams  # noqa: E402
from vllm.usage.usage_lib import UsageContext  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402
from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder  # noqa: E402

HEALTH_CHECK_INTERVAL_S = 0.5
CANCELLATION_CHECK_INTERVAL_S = 0.5
ENGINE_NICENESS = 5


class TritonPythonModel:
    """Serves all requests concurrently with one engine."""

    def initialize(self, args: dict[str, str]) -> None:
        """Start the engine; if that fails, the load fails with the reason."""
        self.name = args["model_name"]
        config = json.loads(args["model_config"])
        arguments = read_engine_arguments(Path(args["model_repository"]) / args["model_version"])
        require_servable(config, arguments, args["model_instance_kind"])
        self.checks_health = is_enabled(config, "ENABLE_VLLM_HEALTH_CHECK")
        self.unhealthy = False
        engine_arguments = AsyncEngineArgs(**arguments)
        reports = is_enabled(config, "REPORT_CUSTOM_METRICS") and not engine_arguments.disable_log_stats
        tally = Tally() if reports else None
        self.encoder, self.decoder = MsgpackEncoder(), MsgpackDecoder(SamplingParams)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.engine: AsyncLLM = self._run(self._start(engine_arguments, tally)).result()
        self.watching = self._run(self._watch()) if self.checks_health else None
        labels = {"model": args["model_name"], "version": args["model_version"]}
        self.reporter = tally and Reporter(tally, labels, self.engine.model_config.max_model_len)

    def execute(self, requests: list[Any]) -> None:
        """Accept the requests; each is answered through its response sender.

        Raises ValueError for sampling parameters that are not JSON; Triton then sends the error.
        """
        if self.checks_health and self.engine.errored:
            self._unload()
            for request in requests:
                sender = request.get_response_sender()
                _fail(sender, "vLLM's engine is dead", pb_utils.TritonError.UNAVAILABLE)
            return
        taken = []
        for request in requests:
            inputs = {tensor.name(): tensor.as_numpy().copy() for tensor in request.inputs()}
            sampling_parameters = read_sampling_parameters(inputs, request.parameters())
            taken.append((inputs, sampling_parameters, request.get_response_sender()))
        for arguments in taken:
            self._run(self._answer(*arguments))

    def finalize(self) -> None:
        """Stop the engine, its processes, and the loop."""
        if self.watching:
            self.watching.cancel()
        self.engine.shutdown()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        if self.reporter:
            self.reporter.stop()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    async def _start(self, arguments: AsyncEngineArgs, tally: Tally | None) -> AsyncLLM:
        # The engine's processes inherit this thread's low priority, so that the encoders get the cores first.
        os.nice(ENGINE_NICENESS)
        return AsyncLLM.from_engine_args(
            arguments,
            usage_context=UsageContext.OPENAI_API_SERVER,
            stat_loggers=None if tally is None else [lambda *_: StatLogger(tally)],
        )

    async def _watch(self) -> None:
        # NVIDIA's backend checks its engine only at each request, as `execute` does. This loop also checks
        # it without requests, so that an idle model does not stay ready after its engine died.
        while not self.engine.errored:
            await asyncio.sleep(HEALTH_CHECK_INTERVAL_S)
        self._unload()

    def _unload(self) -> None:
        if not self.unhealthy:
            self.unhealthy = True
            pb_utils.Logger.log_error(f"{self.name}: vLLM's engine died; the model is unloaded")
            pb_utils.unload_model(self.name)

    async def _answer(self, inputs: dict[str, Any], sampling_parameters: dict[str, Any], sender: Any) -> None:
        try:
            question = read_question(inputs, sampling_parameters)
            await self._generate(question, self._sampling(question), sender)
        except Exception as error:  # noqa: BLE001 - an unanswered request would hang for ever
            reason = str(error) or repr(error)
            _fail(sender, f"Error generating stream: {reason}", pb_utils.TritonError.INTERNAL)

    def _sampling(self, question: Question) -> SamplingParams:
        values = dict(question.sampling_parameters)
        require_settable(values, SamplingParams.__annotations__)
        if "structured_outputs" in values:
            values["structured_outputs"] = StructuredOutputsParams(**json.loads(values["structured_outputs"]))
        sampling = SamplingParams(**values)
        # vLLM accepts values of wrong types, such as 5.7 for `max_tokens`. The engine's thread that reads
        # requests then dies silently, and no later request is answered.
        self.decoder.decode(self.encoder.encode(sampling))
        sampling.output_kind = RequestOutputKind.DELTA if question.stream else RequestOutputKind.CUMULATIVE
        return sampling

    async def _generate(self, question: Question, sampling: SamplingParams, sender: Any) -> None:
        request_id = uuid.uuid4().hex
        first, checked_s = True, time.monotonic()
        async for output in self.engine.generate(question.text_input, sampling, request_id):
            # Each call of the sender is a message to Triton.
            if time.monotonic() - checked_s > CANCELLATION_CHECK_INTERVAL_S:
                checked_s = time.monotonic()
                if sender.is_cancelled():
                    await self.engine.abort(request_id)
                    pb_utils.Logger.log_info(
                        f"{self.name}: {request_id} was stopped, its client disconnected"
                    )
                    _fail(sender, "the client disconnected", pb_utils.TritonError.CANCELLED)
                    return
            if question.stream or output.finished:
                tensors = output_tensors(question, output, first=first)
                first = False
                sender.send(
                    pb_utils.InferenceResponse([pb_utils.Tensor(*tensor) for tensor in tensors.items()]),
                    flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if output.finished else 0,
                )


def _fail(sender: Any, message: str, code: int) -> None:
    response = pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
