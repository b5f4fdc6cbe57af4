"""Triton backend `vllm` for servers that lack NVIDIA's: the same model.json, the same tensors.

`1/model.json` holds the arguments of vllm.AsyncEngineArgs. The engine runs on an asyncio loop in a
thread of its own. When it dies, the model unloads itself, and its readiness says so.
"""

import locale
import os
import sys

# The stub's interpreter otherwise reads torch's files as ASCII.
locale.setlocale(locale.LC_ALL, "")
# The server's own packages stand before this model's environment, for the engine's processes too.
foreign = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
sys.path[:] = [folder for folder in sys.path if folder not in foreign]

import asyncio  # noqa: E402
import json  # noqa: E402
import threading  # noqa: E402
import uuid  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from logic.generation import RETURNED, Question, logprobs_json  # noqa: E402
from vllm import AsyncEngineArgs, SamplingParams  # noqa: E402
from vllm.sampling_params import RequestOutputKind  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402
from vllm.v1.engine.exceptions import EngineDeadError  # noqa: E402

HEALTH_CHECK_INTERVAL_S = 0.5
CANCELLATION_CHECK_INTERVAL_S = 0.5
ENGINE_NICENESS = 5


class TritonPythonModel:
    """Serves one engine to all requests at once."""

    def initialize(self, args: dict[str, str]) -> None:
        """Start the engine; an error of its start fails the load with its reason."""
        self.name = args["model_name"]
        arguments = json.loads(
            (Path(args["model_repository"]) / args["model_version"] / "model.json").read_text("utf-8")
        )
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.engine: AsyncLLM = self._run(self._start(arguments)).result()
        self.watching = self._run(self._unload_when_dead())

    def execute(self, requests: list[Any]) -> None:
        """Take the requests on; each is answered through its response sender."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                question = _question(request)
            except ValueError as error:
                _fail(sender, str(error), pb_utils.TritonError.INVALID_ARG)
                continue
            self._run(self._answer(question, sender))

    def finalize(self) -> None:
        """Stop the engine, its processes, and the loop."""
        self.watching.cancel()
        self.engine.shutdown()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    async def _start(self, arguments: dict[str, Any]) -> AsyncLLM:
        # The engine's processes start from this thread: they leave the cores to the encoders first.
        os.nice(ENGINE_NICENESS)
        engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
        # The first generation allocates and compiles; let it not be a caller's.
        async for _ in engine.generate("warm-up", SamplingParams(max_tokens=2, logprobs=1), "warm-up"):
            pass
        return engine

    async def _unload_when_dead(self) -> None:
        while not self.engine.errored:
            await asyncio.sleep(HEALTH_CHECK_INTERVAL_S)
        pb_utils.Logger.log_error(f"{self.name}: vLLM's engine died; the model is unloaded")
        pb_utils.unload_model(self.name)

    async def _answer(self, question: Question, sender: Any) -> None:
        try:
            await self._generate(question, sender)
        except EngineDeadError as error:
            _fail(sender, f"vLLM's engine is dead: {error}", pb_utils.TritonError.UNAVAILABLE)
        except (ValueError, TypeError) as error:
            _fail(sender, str(error), pb_utils.TritonError.INVALID_ARG)
        except Exception as error:  # noqa: BLE001 - an unanswered request would hang for ever
            _fail(sender, repr(error), pb_utils.TritonError.INTERNAL)

    async def _generate(self, question: Question, sender: Any) -> None:
        sampling = SamplingParams(**question.sampling_parameters)
        sampling.output_kind = RequestOutputKind.DELTA if question.stream else RequestOutputKind.FINAL_ONLY
        request_id = uuid.uuid4().hex
        watching = asyncio.create_task(self._abort_when_cancelled(request_id, sender))
        shown = "" if question.exclude_input_in_output else question.text_input
        try:
            async for output in self.engine.generate(question.text_input, sampling, request_id):
                sender.send(pb_utils.InferenceResponse(_tensors(question, output, shown)))
                shown = ""
        finally:
            watching.cancel()
        if sender.is_cancelled():
            _fail(sender, "the caller went away", pb_utils.TritonError.CANCELLED)
        else:
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    async def _abort_when_cancelled(self, request_id: str, sender: Any) -> None:
        cancelled = False
        while not cancelled:
            await asyncio.sleep(CANCELLATION_CHECK_INTERVAL_S)
            cancelled = sender.is_cancelled()
        await self.engine.abort(request_id)
        pb_utils.Logger.log_info(f"{self.name}: {request_id} was stopped, its caller went away")


def _question(request: Any) -> Question:
    def value(name: str, default: Any) -> Any:
        tensor = pb_utils.get_input_tensor_by_name(request, name)
        return default if tensor is None else tensor.as_numpy()[0]

    stream = bool(value("stream", False))
    return Question(
        text_input=value("text_input", b"").decode("utf-8"),
        sampling_parameters=json.loads(value("sampling_parameters", b"{}")),
        stream=stream,
        # NVIDIA's default: a stream has only what is new, a single answer repeats the input.
        exclude_input_in_output=bool(value("exclude_input_in_output", stream)),
        returned=frozenset(name for name in RETURNED if bool(value(f"return_{name}", False))),
    )


def _tensors(question: Question, output: Any, shown: str) -> list[Any]:
    sequences = output.outputs

    def strings(values: list[str]) -> Any:
        return np.array([value.encode() for value in values], dtype=np.object_)

    values = {
        "text_output": strings([shown + sequence.text for sequence in sequences]),
        "finish_reason": strings([str(sequence.finish_reason) for sequence in sequences]),
        "cumulative_logprob": np.array(
            [sequence.cumulative_logprob or 0.0 for sequence in sequences], dtype=np.float32
        ),
        "logprobs": strings([logprobs_json(sequence.logprobs) for sequence in sequences]),
        "num_input_tokens": np.array([len(output.prompt_token_ids)], dtype=np.uint32),
        "num_output_tokens": np.array([len(sequence.token_ids) for sequence in sequences], dtype=np.uint32),
    }
    wanted = ["text_output", *(name for name in RETURNED if name in question.returned)]
    return [pb_utils.Tensor(name, values[name]) for name in wanted]


def _fail(sender: Any, message: str, code: int) -> None:
    response = pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
