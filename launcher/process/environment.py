"""The environment of one tritonserver process and of the processes that it starts."""

import os
from collections.abc import Mapping
from pathlib import Path

OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
# Compilers load what they compiled from these folders; `docker run --tmpfs /tmp` mounts /tmp noexec.
COMPILER_CACHES = {
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "torch_inductor",
    "TRITON_CACHE_DIR": "triton_compiler",
}


def server_environment(
    own: Mapping[str, str], inherited: Mapping[str, str], work_folder: Path | None, *, judge: bool
) -> dict[str, str]:
    """Variables of tritonserver: those that it inherits, those of its installation, and what always holds.

    work_folder: keeps what compilers make; None leaves them to their own folders.
    judge: whether the LLM is served, which the model `verdict` is told.
    """
    caches = (
        {name: str(work_folder / folder) for name, folder in COMPILER_CACHES.items()} if work_folder else {}
    )
    return {
        **inherited,
        **own,
        # The stub's interpreter otherwise decodes files as ASCII.
        "LC_ALL": "C.UTF-8",
        # glibc otherwise makes eight arenas for each core, and each keeps what its largest request took.
        "MALLOC_ARENA_MAX": "2",
        # The encoders own the cores.
        "TOKENIZERS_PARALLELISM": "false",
        "TRIBUNAL_JUDGE": "served" if judge else "absent",
        **OFFLINE,
        **caches,
    }


def joined(*parts: Path | str | None) -> str:
    """Folders as a search path."""
    return os.pathsep.join(str(part) for part in parts if part)
