"""Triton model `judge_prompt`: a text -> the inputs of the vLLM backend."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic.prompting import Prompt, sampling_parameters


class TritonPythonModel:
    """Builds one prompt per request."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read `prompt.json`, which the export rendered from the judge's own chat template."""
        parameters = json.loads(args["model_config"])["parameters"]
        self.max_answer_tokens = int(parameters["max_answer_tokens"]["string_value"])
        self.max_label_tokens = int(parameters["max_label_tokens"]["string_value"])
        self.prompt = Prompt.read(Path(args["model_repository"]) / args["model_version"] / "prompt.json")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request, or refuse it with INVALID_ARG if its text is not UTF-8."""
        return [self._prompt(request) for request in requests]

    def _prompt(self, request: Any) -> Any:
        try:
            text = pb_utils.get_input_tensor_by_name(request, "text").as_numpy()[0].decode("utf-8")
        except UnicodeDecodeError as error:
            refusal = pb_utils.TritonError(
                f"text is not valid UTF-8: {error}", pb_utils.TritonError.INVALID_ARG
            )
            return pb_utils.InferenceResponse(error=refusal)
        explain = _flag(request, "explain", default=True)
        sampling = sampling_parameters(
            max_tokens=self.max_answer_tokens if explain else self.max_label_tokens, explain=explain
        )
        return pb_utils.InferenceResponse(
            [
                _string("text_input", self.prompt.around(text)),
                _string("sampling_parameters", json.dumps(sampling)),
                pb_utils.Tensor("stream", np.array([_flag(request, "stream", default=False)])),
                pb_utils.Tensor("exclude_input_in_output", np.array([True])),
                pb_utils.Tensor("return_logprobs", np.array([True])),
            ]
        )


def _flag(request: Any, name: str, *, default: bool) -> bool:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return default if tensor is None else bool(tensor.as_numpy()[0])


def _string(name: str, value: str) -> Any:
    return pb_utils.Tensor(name, np.array([value.encode()], dtype=np.object_))
