"""The tensors that NVIDIA's vLLM backend adds to the config of a model.

https://github.com/triton-inference-server/vllm_backend, `auto_complete_config` in src/model.py.
"""

from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

# Type and dims by name; all but `text_input` are optional.
VLLM_INPUTS = {
    "text_input": (DataType.TYPE_STRING, [1]),
    "image": (DataType.TYPE_STRING, [-1]),
    "stream": (DataType.TYPE_BOOL, [1]),
    "sampling_parameters": (DataType.TYPE_STRING, [1]),
    "exclude_input_in_output": (DataType.TYPE_BOOL, [1]),
    "return_finish_reason": (DataType.TYPE_BOOL, [1]),
    "return_cumulative_logprob": (DataType.TYPE_BOOL, [1]),
    "return_logprobs": (DataType.TYPE_BOOL, [1]),
    "return_num_input_tokens": (DataType.TYPE_BOOL, [1]),
    "return_num_output_tokens": (DataType.TYPE_BOOL, [1]),
    "embedding_request": (DataType.TYPE_STRING, [1]),
}
VLLM_OUTPUTS = {
    "text_output": (DataType.TYPE_STRING, [-1]),
    "finish_reason": (DataType.TYPE_STRING, [-1]),
    "cumulative_logprob": (DataType.TYPE_FP32, [-1]),
    "logprobs": (DataType.TYPE_STRING, [-1]),
    "num_input_tokens": (DataType.TYPE_UINT32, [1]),
    "num_output_tokens": (DataType.TYPE_UINT32, [-1]),
}


def add_vllm_tensors(config: ModelConfig) -> None:
    """Add the tensors that `config` does not name itself."""
    inputs = {tensor.name for tensor in config.input}
    outputs = {tensor.name for tensor in config.output}
    for name, (kind, dims) in VLLM_INPUTS.items():
        if name not in inputs:
            config.input.add(name=name, data_type=kind, dims=dims, optional=name != "text_input")
    for name, (kind, dims) in VLLM_OUTPUTS.items():
        if name not in outputs:
            config.output.add(name=name, data_type=kind, dims=dims)
