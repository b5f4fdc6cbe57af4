"""Triton backend `onnxruntime` for servers that lack the C++ one: the same configs, the same tensors.

It refuses everything that the C++ backend refuses. An instance of KIND_GPU uses CUDA, any other the CPU. It
honours `default_model_filename`, the parameters `intra_op_thread_count` and `inter_op_thread_count`, and the
options of the accelerator `cuda`. On the CPU, if the caller of a long request has disconnected, it does not
run the request and returns empty outputs.
"""

import ctypes
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic.batching import Tensors, group_by_shape, join, split
from logic.providers import choose_providers, require_cuda
from logic.validation import GraphTensor, validate
from onnxruntime import InferenceSession, SessionOptions, get_available_providers, preload_dlls
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

# A run of so many tokens takes far longer than asking Triton whether the caller is still connected (0.1 ms).
LONG_TOKENS = 256
# Long runs leave tens of MiB of unused memory. Freeing it after each run, and allocating it again for the
# next, costs a fifth of a run.
TRIM_PERIOD_S = 5.0
LIBC = ctypes.CDLL(None)
# From malloc.h. Explicit thresholds stop malloc from trimming by itself; only `_trim` does.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER_TRIM_BYTES, MOST_MMAP_BYTES = 2**30, 2**25


class TritonPythonModel:
    """Runs the waiting requests together."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Return the config unchanged: Tribunal's configs are complete."""
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model file of this version; its tensors are those of the config.

        Raises ValueError if the instance's device cannot be used or the graph does not fit the config.
        """
        config = json.loads(args["model_config"])
        self.input_names = [tensor["name"] for tensor in config["input"]]
        self.outputs = config["output"]
        self.output_names = [tensor["name"] for tensor in self.outputs]
        filename = config["default_model_filename"] or "model.onnx"
        path = Path(args["model_repository"]) / args["model_version"] / filename
        kind = args["model_instance_kind"]
        providers = choose_providers(
            config, kind, args["model_instance_device_id"], get_available_providers()
        )
        self.on_gpu = kind == "GPU"
        if self.on_gpu:
            # CUDA's libraries are in packages, where the loader does not search.
            preload_dlls()
        self.session = InferenceSession(
            path, session_options(config, on_gpu=self.on_gpu), providers=providers
        )
        if self.on_gpu:
            require_cuda(self.session.get_providers())
        validate(
            config,
            [GraphTensor.of(node) for node in self.session.get_inputs()],
            [GraphTensor.of(node) for node in self.session.get_outputs()],
        )
        if not self.on_gpu:
            self._start_trimming()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests in order; one that ONNX Runtime refuses fails alone."""
        inputs: list[Tensors] = [
            {tensor.name(): tensor.as_numpy() for tensor in request.inputs()} for request in requests
        ]
        # On a GPU asking for the caller costs more than the run.
        responses = [
            None if self.on_gpu else self._unheard(request, tensors)
            for request, tensors in zip(requests, inputs, strict=True)
        ]
        heard = [index for index, response in enumerate(responses) if response is None]
        for group in group_by_shape([inputs[index] for index in heard]):
            indices = [heard[position] for position in group]
            for index, response in zip(indices, self._respond([inputs[i] for i in indices]), strict=True):
                responses[index] = response
        if not self.on_gpu and sum(tensors[self.input_names[0]].size for tensors in inputs) >= LONG_TOKENS:
            self.ran_long.set()
        return responses

    def _start_trimming(self) -> None:
        self.ran_long = threading.Event()
        threading.Thread(target=self._trim, daemon=True).start()
        LIBC.mallopt(M_TRIM_THRESHOLD, NEVER_TRIM_BYTES)
        LIBC.mallopt(M_MMAP_THRESHOLD, MOST_MMAP_BYTES)
        LIBC.malloc_trim(0)

    def _trim(self) -> None:
        """Free unused memory to the system, at most every TRIM_PERIOD_S, after long runs."""
        while self.ran_long.wait():
            time.sleep(TRIM_PERIOD_S)
            self.ran_long.clear()
            LIBC.malloc_trim(0)

    def _unheard(self, request: Any, tensors: Tensors) -> Any:
        """Empty outputs for a long request whose caller has disconnected; None for any other request.

        An error would crash Triton 24.10 if another step of the ensemble still runs. Any values would enter
        the response cache and answer the next caller's same text; Triton does not cache empty outputs.
        """
        first = tensors[self.input_names[0]]
        if first.size < LONG_TOKENS or not request.is_cancelled():
            return None
        return pb_utils.InferenceResponse([_empty(tensor, len(first)) for tensor in self.outputs])

    def _respond(self, group: Sequence[Tensors]) -> list[Any]:
        try:
            outputs = self._outputs(group)
        except InvalidArgument as error:
            if len(group) > 1:
                return [response for tensors in group for response in self._respond([tensors])]
            refusal = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
            return [pb_utils.InferenceResponse(error=refusal)]
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor(name, output) for name, output in zip(self.output_names, one, strict=True)]
            )
            for one in outputs
        ]

    def _outputs(self, group: Sequence[Tensors]) -> Sequence[Sequence[Any]]:
        batch_sizes = [len(tensors[self.input_names[0]]) for tensors in group]
        outputs: Sequence[Any] = self.session.run(self.output_names, dict(join(group)))
        return split(outputs, batch_sizes)


def _empty(tensor: dict[str, Any], batch_size: int) -> Any:
    shape = (batch_size, *(0 for _ in tensor["dims"]))
    dtype = pb_utils.triton_string_to_numpy(tensor["data_type"])
    return pb_utils.Tensor(tensor["name"], np.zeros(shape, dtype=dtype))


def session_options(config: dict[str, Any], *, on_gpu: bool = False) -> SessionOptions:
    """Thread counts of a Triton model config; ONNX Runtime's default if it has none."""
    options = SessionOptions()
    # In every instance, an arena keeps the memory of the longest text, and saves no time here.
    options.enable_cpu_mem_arena = False
    if not on_gpu:
        # As in `launcher.host.prepacking`.
        options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
    parameters = config.get("parameters", {})
    if "intra_op_thread_count" in parameters:
        options.intra_op_num_threads = int(parameters["intra_op_thread_count"]["string_value"])
    if "inter_op_thread_count" in parameters:
        options.inter_op_num_threads = int(parameters["inter_op_thread_count"]["string_value"])
    return options
