"""Triton backend `onnxruntime` for servers that lack the C++ one: the same configs, the same tensors.

Honours `default_model_filename` and the parameters `intra_op_thread_count` and
`inter_op_thread_count`; the CPU is its only device. The parameter `unpad_by`, its own, names the
mask by which inputs [batch, windows, tokens] are run window by window without their padding.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from batching import Tensors, group_by_shape, join, split
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from unpadding import run_unpadded


class TritonPythonModel:
    """Runs the waiting requests of one shape as one batch."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Leave the config as it is: Tribunal's are complete."""
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model file of this version; its tensors are those of the config."""
        if args["model_instance_kind"] != "CPU":
            raise ValueError(f"this backend runs on CPU only, not on {args['model_instance_kind']}")
        config = json.loads(args["model_config"])
        self.unpad_by = config.get("parameters", {}).get("unpad_by", {}).get("string_value")
        self.input_names = [tensor["name"] for tensor in config["input"]]
        self.output_names = [tensor["name"] for tensor in config["output"]]
        filename = config["default_model_filename"] or "model.onnx"
        path = Path(args["model_repository"]) / args["model_version"] / filename
        self.session = InferenceSession(path, session_options(config), providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests in their order; one that ONNX Runtime refuses fails alone."""
        inputs: list[Tensors] = [
            {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.input_names}
            for request in requests
        ]
        responses: list[Any] = [None] * len(requests)
        for group in group_by_shape(inputs):
            for index, response in zip(group, self._run([inputs[i] for i in group]), strict=True):
                responses[index] = response
        return responses

    def _run(self, group: Sequence[Tensors]) -> list[Any]:
        try:
            outputs = self._outputs(join(group))
        except InvalidArgument as error:
            if len(group) > 1:
                return [response for tensors in group for response in self._run([tensors])]
            refusal = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
            return [pb_utils.InferenceResponse(error=refusal)]
        batch_sizes = [len(tensors[self.input_names[0]]) for tensors in group]
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor(name, piece) for name, piece in zip(self.output_names, pieces, strict=True)]
            )
            for pieces in split(outputs, batch_sizes)
        ]

    def _outputs(self, tensors: Tensors) -> Sequence[Any]:
        if self.unpad_by is None:
            return self._session_run(tensors)
        return run_unpadded(self._session_run, tensors, self.unpad_by)

    def _session_run(self, tensors: Tensors) -> Sequence[Any]:
        outputs: Sequence[Any] = self.session.run(self.output_names, dict(tensors))
        return outputs


def session_options(config: dict[str, Any]) -> SessionOptions:
    """Thread counts of a Triton model config; ONNX Runtime's own default where it states none."""
    options = SessionOptions()
    # An arena keeps what the longest text needed, in every instance, and saves no time here.
    options.enable_cpu_mem_arena = False
    parameters = config.get("parameters", {})
    if "intra_op_thread_count" in parameters:
        options.intra_op_num_threads = int(parameters["intra_op_thread_count"]["string_value"])
    if "inter_op_thread_count" in parameters:
        options.inter_op_num_threads = int(parameters["inter_op_thread_count"]["string_value"])
    return options
