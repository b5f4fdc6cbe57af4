"""The stand-in for NVIDIA's vLLM backend loads with more than one version of vLLM."""

import ast
from collections.abc import Iterator
from pathlib import Path

from launcher.backends import vllm as backend

# Found in vLLM 0.24.0, 0.26.0, 0.29.0 (the image's) and 0.32.0 (the judge environment's).
IN_ALL_VERSIONS = {
    ("vllm", "AsyncEngineArgs"),
    ("vllm", "SamplingParams"),
    ("vllm.sampling_params", "RequestOutputKind"),
    ("vllm.sampling_params", "StructuredOutputsParams"),
    ("vllm.usage.usage_lib", "UsageContext"),
    ("vllm.v1.engine.async_llm", "AsyncLLM"),
    ("vllm.v1.metrics.loggers", "StatLoggerBase"),
    ("vllm.v1.serial_utils", "MsgpackDecoder"),
    ("vllm.v1.serial_utils", "MsgpackEncoder"),
}


def imports_from_vllm(folder: Path) -> Iterator[tuple[str, str]]:
    """Module and name of everything that the Python files below `folder` import from vLLM."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == "vllm")
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vllm":
                yield from ((str(node.module), alias.name) for alias in node.names)


def test_the_backend_imports_only_what_these_versions_of_vllm_have() -> None:
    assert set(imports_from_vllm(Path(backend.__path__[0]))) == IN_ALL_VERSIONS
