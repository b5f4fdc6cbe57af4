"""Chooses vLLM's arguments for the judge: dtype, context, quantization and share of GPU memory.

The arguments are those of vllm.AsyncEngineArgs (https://docs.vllm.ai/en/stable/configuration/engine_args.html).
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from transformers import PretrainedConfig

from export_scripts.judge_weights import Dtype

Target = Literal["cpu", "gpu"]
DtypeChoice = Literal["auto", "float32", "bfloat16", "float16"]
Quantization = Literal["fp8"]

CPU_INFO = Path("/proc/cpuinfo")
# Names in /proc/cpuinfo of the bf16 instructions of x86 and ARM. Without them bf16 is slower than fp32.
BF16_INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
# Tokens of the prompt, the text and the answer together. A CPU keeps the cache of fewer.
MAX_MODEL_LEN: dict[Target, int] = {"cpu": 1024, "gpu": 4096}
# Size of the KV cache in requests of full length. The usual request of about 1000 tokens takes a quarter.
KV_CACHE_SEQUENCES = 2
# Sequences that the engine generates at the same time. The launcher lets `verdict` ask about as many.
GPU_SEQUENCES = 256
# Estimate, not measured: activations of a full batch, CUDA graphs, and CUDA itself.
RUNTIME_BYTES = 2_000_000_000
# Estimate, not measured: the two encoders in fp16 and their activations, on the same GPU.
ENCODERS_BYTES = 2_000_000_000
# Nominal memory of common GPUs.
GPU_SIZES_BYTES = tuple(size * 1_000_000_000 for size in (8, 12, 16, 24, 32, 40, 48, 80, 96, 141))
MAX_UTILIZATION = 0.9


@dataclass(frozen=True)
class EngineOptions:
    """The engine's options on the command line.

    dtype: on a GPU, `auto` is float16, as in the example of the judge's card. On a CPU it is bfloat16 if this
        host's processor has instructions for it, else float32, and always float32 for the demo judge.
    quantization: method by which vLLM quantises the weights when it loads them; only for GPUs.
    tensor_parallel_size: number of GPUs that share the model.
    gpu_memory_utilization: share of a GPU's memory in (0, 1]; None to compute it from GpuMemory.
    """

    target: Target = "cpu"
    dtype: DtypeChoice = "auto"
    quantization: Quantization | None = None
    tensor_parallel_size: int = 1
    gpu_memory_utilization: float | None = None

    def served_dtype(self, *, demo: bool) -> Dtype:
        """The judge's dtype on this host; demo: whether it is the demonstration judge."""
        if self.dtype != "auto":
            return self.dtype
        if self.target == "gpu":
            return "float16"
        # In bf16, the demo judge gives other reasons for 2 of 100 held-out texts, and its scores differ from
        # float32 by up to 0.02; the tests allow 0.001.
        return "bfloat16" if not demo and BF16_INSTRUCTIONS & cpu_instructions() else "float32"


@dataclass(frozen=True)
class GpuMemory:
    """Memory in bytes that the judge needs on each of its GPUs.

    weights_bytes: served weights. kv_cache_bytes: cache of `kv_cache_sequences` requests of full length.
    runtime_bytes: estimate for activations, CUDA graphs and CUDA itself.
    encoders_bytes: estimate for the encoders, which the engine leaves free.
    least_vram_bytes: their sum, the minimum memory of a GPU that serves all models.
    """

    weights_bytes: int
    kv_cache_bytes: int
    kv_cache_sequences: int
    runtime_bytes: int
    encoders_bytes: int
    least_vram_bytes: int

    @classmethod
    def of(
        cls, config: PretrainedConfig, weights_bytes: int, dtype: Dtype, options: EngineOptions
    ) -> "GpuMemory":
        """The memory for `config`'s model; its served weights take `weights_bytes` over all GPUs."""
        gpus = options.tensor_parallel_size
        head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        # A key and a value for each layer and head.
        token_items = 2 * config.num_hidden_layers * config.num_key_value_heads * head_size
        token_bytes = token_items * (4 if dtype == "float32" else 2)
        tokens = KV_CACHE_SEQUENCES * max_model_len(config, options.target)
        weights, kv_cache = math.ceil(weights_bytes / gpus), math.ceil(token_bytes * tokens / gpus)
        least = weights + kv_cache + RUNTIME_BYTES + ENCODERS_BYTES
        return cls(weights, kv_cache, KV_CACHE_SEQUENCES, RUNTIME_BYTES, ENCODERS_BYTES, least)

    @property
    def gpu_bytes(self) -> int | None:
        """Memory of the smallest common GPU that fits all models; None if none does."""
        return next((size for size in GPU_SIZES_BYTES if size >= self.least_vram_bytes), None)

    @property
    def utilization(self) -> float:
        """The judge's share of that GPU's memory, rounded up to hundredths.

        On a larger GPU the same share is more memory, and vLLM adds it to the KV cache.
        """
        if self.gpu_bytes is None:
            return MAX_UTILIZATION
        needed = self.weights_bytes + self.kv_cache_bytes + self.runtime_bytes
        return min(math.ceil(100 * needed / self.gpu_bytes) / 100, MAX_UTILIZATION)

    def as_dict(self) -> dict[str, int]:
        """The figures for the manifest."""
        return asdict(self)

    def sentence(self, gpus: int) -> str:
        """The least memory in words, in GB (10^9 bytes)."""
        where = "a GPU" if gpus == 1 else f"each of {gpus} GPUs"
        return (
            f"{where} needs at least {self.least_vram_bytes / 1e9:.1f} GB: {self.weights_bytes / 1e9:.1f} "
            f"for the weights, {self.kv_cache_bytes / 1e9:.1f} for the KV cache of {self.kv_cache_sequences} "
            f"requests of full length, about {self.runtime_bytes / 1e9:.0f} for activations and CUDA graphs, "
            f"and about {self.encoders_bytes / 1e9:.0f} for the encoders"
        )


def cpu_instructions() -> frozenset[str]:
    """Instruction sets of this host's processor, by Linux's names; empty if Linux does not list them."""
    try:
        lines = CPU_INFO.read_text("utf-8").splitlines()
    except OSError:
        return frozenset()
    listed = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return frozenset(next(listed, "").split())


def max_model_len(config: PretrainedConfig, target: Target) -> int:
    """Tokens of prompt and answer together: MAX_MODEL_LEN, or the model's own limit if it is smaller."""
    return min(MAX_MODEL_LEN[target], int(config.max_position_embeddings))


def engine_arguments(
    model: Path, config: PretrainedConfig, dtype: Dtype, options: EngineOptions, memory: GpuMemory | None
) -> dict[str, Any]:
    """Arguments of vllm.AsyncEngineArgs for `phi3/1/model.json`.

    model: folder of the checkpoint on the server.
    memory: the judge's need on a GPU; None for a CPU, on which vLLM captures no graphs.
    """
    arguments: dict[str, Any] = {
        "model": str(model),
        "dtype": dtype,
        "max_model_len": max_model_len(config, options.target),
        "tensor_parallel_size": options.tensor_parallel_size,
    }
    if memory is None:
        return {**arguments, "enforce_eager": True}
    arguments["max_num_seqs"] = GPU_SEQUENCES
    arguments["gpu_memory_utilization"] = options.gpu_memory_utilization or memory.utilization
    if options.quantization:
        arguments["quantization"] = options.quantization
    return arguments
