"""vLLM's arguments for the judge: dtype, memory and quantization."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from transformers import Phi3Config

from export_scripts import judge_engine
from export_scripts.judge_engine import (
    GPU_SIZES_BYTES,
    EngineOptions,
    GpuMemory,
    Target,
    cpu_instructions,
    engine_arguments,
)
from export_scripts.judge_weights import Dtype
from export_scripts.sources import DEMO_WEIGHTS
from launcher.host.judge_environment import JUDGE_ENVIRONMENT

# The shape of microsoft/Phi-3-mini-4k-instruct, from its config.json and the judge's.
PHI3 = Phi3Config(
    vocab_size=32064,
    hidden_size=3072,
    intermediate_size=8192,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=32,
    max_position_embeddings=4096,
)
PHI3_BYTES = 7_642_159_104


def memory(options: EngineOptions, dtype: Dtype = "float16") -> GpuMemory:
    return GpuMemory.of(PHI3, PHI3_BYTES * (2 if dtype == "float32" else 1), dtype, options)


@pytest.mark.parametrize(
    ("target", "flags", "demo", "dtype"),
    [
        ("gpu", "avx2", False, "float16"),
        ("gpu", "avx2 avx512_bf16", True, "float16"),
        ("cpu", "avx2 avx512f", False, "float32"),
        ("cpu", "avx2 avx512_bf16", False, "bfloat16"),
        ("cpu", "avx2 amx_bf16 amx_tile", False, "bfloat16"),
        ("cpu", "avx2 avx512_bf16", True, "float32"),
    ],
)
def test_the_dtype_is_what_the_target_computes_fast(
    target: Target, flags: str, demo: bool, dtype: Dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n", "utf-8")
    monkeypatch.setattr(judge_engine, "CPU_INFO", tmp_path / "cpuinfo")
    assert EngineOptions(target).served_dtype(demo=demo) == dtype
    assert EngineOptions(target, "bfloat16").served_dtype(demo=demo) == "bfloat16"


def test_a_host_that_lists_no_instructions_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_engine, "CPU_INFO", tmp_path / "missing")
    assert cpu_instructions() == frozenset()


def test_the_judge_and_the_encoders_fit_a_gpu_of_16_gb() -> None:
    options = EngineOptions("gpu")
    need = memory(options)
    assert need.weights_bytes == PHI3_BYTES
    # 2 (key, value) x 32 layers x 32 heads x 96 x 2 bytes, for 2 requests of 4096 tokens.
    assert need.kv_cache_bytes == 393_216 * 2 * 4096
    assert need.least_vram_bytes == need.weights_bytes + need.kv_cache_bytes + 4_000_000_000
    assert need.gpu_bytes == 16_000_000_000
    assert need.utilization == pytest.approx(0.81)
    assert need.utilization * need.gpu_bytes >= need.weights_bytes + need.kv_cache_bytes + need.runtime_bytes
    assert (1 - need.utilization) * need.gpu_bytes >= need.encoders_bytes
    assert "needs at least 14.9 GB: 7.6 for the weights, 3.2 for the KV cache of 2 requests" in need.sentence(
        1
    )


def test_more_gpus_share_weights_and_cache() -> None:
    one, two = memory(EngineOptions("gpu")), memory(EngineOptions("gpu", tensor_parallel_size=2))
    assert two.weights_bytes * 2 == one.weights_bytes
    assert two.kv_cache_bytes * 2 == one.kv_cache_bytes
    assert two.least_vram_bytes < one.least_vram_bytes
    assert two.sentence(2).startswith("each of 2 GPUs needs at least")


def test_a_judge_that_fits_no_gpu_takes_what_there_is() -> None:
    need = GpuMemory.of(PHI3, GPU_SIZES_BYTES[-1], "float16", EngineOptions("gpu"))
    assert (need.gpu_bytes, need.utilization) == (None, 0.9)


def test_the_share_of_memory_can_be_chosen() -> None:
    for chosen, expected in ((None, 0.81), (0.4, 0.4)):
        options = EngineOptions("gpu", gpu_memory_utilization=chosen)
        arguments = engine_arguments(Path("/models"), PHI3, "float16", options, memory(options))
        assert arguments["gpu_memory_utilization"] == pytest.approx(expected)
        assert arguments["max_num_seqs"] == 256


def test_the_context_is_never_longer_than_the_models() -> None:
    short = Phi3Config(max_position_embeddings=512)
    for target in ("cpu", "gpu"):
        assert engine_arguments(Path(), short, "float16", EngineOptions(target), None)["max_model_len"] == 512


def test_a_cpu_gets_no_arguments_of_gpus() -> None:
    arguments = engine_arguments(Path("/models"), PHI3, "bfloat16", EngineOptions(), None)
    assert arguments == {
        "model": "/models",
        "dtype": "bfloat16",
        "max_model_len": 1024,
        "tensor_parallel_size": 1,
        "enforce_eager": True,
    }


PARSE = """
import json, sys
from vllm import AsyncEngineArgs
arguments = AsyncEngineArgs(**json.loads(sys.argv[1]))
model = arguments.create_model_config()
utilization = arguments.gpu_memory_utilization
print(json.dumps([model.quantization, str(model.dtype), model.max_model_len, utilization]))
"""


def test_vllm_itself_takes_the_arguments() -> None:
    """vLLM's config classes check names and values, without starting an engine."""
    options = EngineOptions("gpu", quantization="fp8")
    arguments = engine_arguments(DEMO_WEIGHTS / "judge", PHI3, "float16", options, memory(options))
    arguments["max_model_len"] = 1024
    assert arguments["quantization"] == "fp8"
    parsed = subprocess.run(
        [str(JUDGE_ENVIRONMENT / "bin" / "python"), "-c", PARSE, json.dumps(arguments)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert parsed.returncode == 0, parsed.stderr
    assert json.loads(parsed.stdout.splitlines()[-1]) == ["fp8", "torch.float16", 1024, pytest.approx(0.81)]
