"""Compares a model config with its graph by the rules of NVIDIA's ONNX Runtime backend.

https://github.com/triton-inference-server/onnxruntime_backend, `ValidateInputs` and `ValidateOutputs` of
src/onnxruntime.cc at r24.10, the same at r26.06. This covers what Tribunal's encoders use: no scalars,
no optional or ragged inputs, no sequences, no reshapes; a config that has one of them is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DATA_TYPES = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_STRING": "tensor(string)",
}
UNSUPPORTED = ("optional", "allow_ragged_batch", "reshape", "is_shape_tensor")


@dataclass(frozen=True)
class GraphTensor:
    """An input or output of a graph, as ONNX Runtime reports it.

    data_type: such as `tensor(int64)`. shape: -1 for each axis that is not fixed.
    """

    name: str
    data_type: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, node: Any) -> "GraphTensor":
        """Read one of `InferenceSession.get_inputs()` or `get_outputs()`."""
        return cls(node.name, node.type, tuple(axis if isinstance(axis, int) else -1 for axis in node.shape))


def validate(
    config: Mapping[str, Any], inputs: Sequence[GraphTensor], outputs: Sequence[GraphTensor]
) -> None:
    """Raise ValueError if the C++ backend would refuse `config`, which is a ModelConfig as JSON.

    The config must have every input of the graph, but may omit outputs. A fixed axis of an input must have
    the same size in the config; other axes may have any. The axes of an output must be equal, also -1.
    """
    if len(config["input"]) != len(inputs):
        raise ValueError(f"the config has {len(config['input'])} inputs and the graph {len(inputs)}")
    for kind, tensors, exact in (("input", inputs, False), ("output", outputs, True)):
        graph = {tensor.name: tensor for tensor in tensors}
        if not config[kind]:
            raise ValueError(f"the config has no {kind}")
        for tensor in config[kind]:
            if tensor["name"] not in graph:
                raise ValueError(
                    f"unexpected {kind} {tensor['name']!r}; the graph has {', '.join(sorted(graph))}"
                )
            _validate_tensor(tensor, graph[tensor["name"]], int(config["max_batch_size"]), exact=exact)


def _validate_tensor(
    tensor: Mapping[str, Any], graph: GraphTensor, max_batch_size: int, *, exact: bool
) -> None:
    used = [option for option in UNSUPPORTED if tensor.get(option)]
    if used:
        raise ValueError(f"tensor {graph.name!r}: {', '.join(used)} is not supported here")
    data_type = DATA_TYPES.get(tensor["data_type"])
    if data_type != graph.data_type:
        raise ValueError(
            f"tensor {graph.name!r}: the config says {tensor['data_type']}, the graph {graph.data_type}"
        )
    dims = tuple(int(dim) for dim in tensor["dims"])
    if max_batch_size > 0:
        if not graph.shape or graph.shape[0] != -1:
            raise ValueError(f"tensor {graph.name!r}: the first axis of a batching model must not be fixed")
        dims = (-1, *dims)
    fits = len(dims) == len(graph.shape) and all(
        wanted == actual or (actual == -1 and not exact)
        for wanted, actual in zip(dims, graph.shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"tensor {graph.name!r}: the graph has shape {list(graph.shape)}, the config {list(dims)}"
        )
