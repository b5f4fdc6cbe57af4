"""The environment of one tritonserver process and of the processes that it starts."""

import os
from collections.abc import Mapping
from pathlib import Path

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}
# Compilers load their output from these folders; `docker run --tmpfs /tmp` mounts /tmp with noexec.
COMPILER_CACHES = {
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "torch_inductor",
    "TRITON_CACHE_DIR": "triton_compiler",
}


def server_environment(
    own: Mapping[str, str],
    inherited: Mapping[str, str],
    work_folder: Path | None,
    temporary: Path,
    self_check: Path,
    *,
    judge: bool,
) -> dict[str, str]:
    """Variables of tritonserver: inherited ones, those of its installation, and constant ones.

    work_folder: for the output of compilers; None: their default folders.
    temporary: for temporary files, such as vLLM's sockets.
    judge: whether the LLM is served; the model `verdict` reads it.
    self_check: file of the self-check's outcomes; the model `manifest` reads it.
    """
    caches = (
        {name: str(work_folder / folder) for name, folder in COMPILER_CACHES.items()} if work_folder else {}
    )
    return {
        **inherited,
        **own,
        # By default the stub's interpreter decodes files as ASCII.
        "LC_ALL": "C.UTF-8",
        # By default glibc makes eight arenas per core, and each keeps the memory of its largest request.
        "MALLOC_ARENA_MAX": "2",
        # The encoders need the cores.
        "TOKENIZERS_PARALLELISM": "false",
        "TRIBUNAL_JUDGE": "served" if judge else "absent",
        "TMPDIR": str(temporary),
        "TRIBUNAL_SELF_CHECK": str(self_check),
        **OFFLINE,
        **caches,
    }


def joined(*parts: Path | str | None) -> str:
    """Folders as a search path."""
    return os.pathsep.join(str(part) for part in parts if part)
