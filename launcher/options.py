"""The options of a server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from launcher.exposure.addresses import ON_LOOPBACK, Exposure
from launcher.exposure.ports import Ports
from launcher.host.devices import available_cores


@dataclass(frozen=True)
class ServerOptions:
    """The options of one tritonserver.

    repository: a model repository that the export has filled; its files are verified.
    exposure: addresses and TLS; by default only loopback.
    log_file: receives Triton's own log; replaced at the first start. None: standard error.
    work_folder: receives the configs and packed weights of this host; None: the repository and the system's
    temporary folder do.
    manifest_sha256: checksum that the repository's manifest must have.
    verify: `full` hashes every exported file at each start; at later starts, `quick` hashes only files with a
    changed size or modification time.
    start_timeout_s: maximum time for loading the models.
    judge: False serves no LLM; the default mode is then `never`.
    config: `auto` adapts the configs to this host's GPUs or CPU; `tracked` uses the tracked ones;
    another name uses `configs/<config>.pbtxt` of each model that has one.
    instances: on a CPU, number of single-threaded instances of each encoder; by default one per core.
    cache_mib: size in MiB of the cache of the encoders' answers to repeated texts; 0 for none.
    trace_url: OTLP/HTTP endpoint of the spans, such as `http://host:4318/v1/traces`; None: no traces.
    triton: folder of a tritonserver that is laid out as in NVIDIA's images; None: /opt/tritonserver if it
    exists, otherwise the nvidia-pytriton wheel.
    trace_rate: trace every Nth request.
    """

    repository: Path
    log_file: Path | None
    ports: Ports = field(default_factory=Ports)
    exposure: Exposure = ON_LOOPBACK
    work_folder: Path | None = None
    manifest_sha256: str | None = None
    verify: Literal["quick", "full"] = "quick"
    start_timeout_s: float = 120.0
    judge: bool = True
    config: str = "auto"
    triton: Path | None = None
    instances: int = field(default_factory=available_cores)
    cache_mib: int = 0
    trace_url: str | None = None
    trace_rate: int = 1
