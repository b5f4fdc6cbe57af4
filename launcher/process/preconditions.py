"""What must hold before tritonserver is started."""

from pathlib import Path

from launcher import StartError
from launcher.exposure.ports import require_free
from launcher.host.devices import has_gpu
from launcher.options import ServerOptions
from launcher.process.installation import Installation
from launcher.repository.verification import record_path, require_exported, verify


def require_startable(
    options: ServerOptions, repository: Path, installation: Installation, *, judge: bool
) -> None:
    """Raise StartError for a repository, an installation or options that cannot be served.

    judge: whether the LLM is served.
    """
    require_exported(repository)
    if judge:
        installation.require_judge()
    if options.cache_mib and has_gpu():
        raise StartError(
            "the cache keeps only tensors in CPU memory, but on a GPU the encoders' outputs are in "
            "GPU memory: remove --cache-mib"
        )
    require_free(options.ports, options.exposure)
    if options.exposure.tls:
        options.exposure.tls.require_usable()
    verify(
        repository,
        options.manifest_sha256,
        full=options.verify == "full",
        record=record_path(repository, options.work_folder),
    )
