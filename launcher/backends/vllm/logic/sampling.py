"""Which sampling parameters a caller may set.

NVIDIA's backend casts a value of the wrong type to the type of its field. This one refuses it, so that every
request that works here also works there.
"""

from collections.abc import Mapping
from typing import Any

# Fields of vllm.SamplingParams that the backend or the engine sets.
INTERNAL = ("output_kind", "output_text_buffer_length", "skip_clone")
# NVIDIA's backend casts values of these types, which fails for null.
NEVER_NULL = (int, float, bool, str, int | None)


def require_settable(parameters: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Raise ValueError for the first parameter on which NVIDIA's backend fails or behaves unpredictably.

    types: of the fields of vllm.SamplingParams.
    """
    if parameters.get("n", 1) != 1:
        raise ValueError("n must be 1: NVIDIA's backend may lose or mix up several sequences")
    for name, value in parameters.items():
        if name in INTERNAL or name.startswith("_"):
            raise ValueError(f"callers cannot set {name}")
        if name == "lora_name":
            raise ValueError("lora_name cannot be used: LoRA is not enabled")
        if name == "structured_outputs" and not isinstance(value, str):
            raise ValueError("structured_outputs must be a string that holds a JSON object")
        if value is None and types.get(name) in NEVER_NULL:
            raise ValueError(f"{name} must not be null")
