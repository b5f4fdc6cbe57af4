"""Triton model `tokenizer`: text -> token ids and attention masks of both encoders."""

import json
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from encoding import InvalidText, decode_texts, encode_texts
from tokenizers import Tokenizer

ENCODERS = ("rejection", "aegis")


class TritonPythonModel:
    """One request is one batch: it is padded to its own longest text and fails alone."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load `<encoder>.json` of this version's folder for each encoder."""
        parameters = json.loads(args["model_config"])["parameters"]
        self.max_tokens = int(parameters["max_tokens"]["string_value"])
        self.max_text_bytes = int(parameters["max_text_bytes"]["string_value"])
        folder = Path(args["model_repository"]) / args["model_version"]
        self.tokenizers = {name: Tokenizer.from_file(str(folder / f"{name}.json")) for name in ENCODERS}

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request, or refuse it with INVALID_ARG where its text breaks a limit."""
        return [self._encode(request) for request in requests]

    def _encode(self, request: Any) -> Any:
        try:
            raw = pb_utils.get_input_tensor_by_name(request, "text").as_numpy()
            texts = decode_texts(raw, self.max_text_bytes)
            outputs = []
            for name, tokenizer in self.tokenizers.items():
                input_ids, attention_mask = encode_texts(tokenizer, texts, self.max_tokens)
                outputs.append(pb_utils.Tensor(f"{name}_input_ids", input_ids))
                outputs.append(pb_utils.Tensor(f"{name}_attention_mask", attention_mask))
        except InvalidText as error:
            refusal = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=refusal)
        return pb_utils.InferenceResponse(outputs)
