"""What a server is started with."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from launcher.exposure.addresses import ON_LOOPBACK, Exposure
from launcher.exposure.ports import Ports
from launcher.host.devices import available_cores


@dataclass(frozen=True)
class ServerOptions:
    """How one tritonserver is to run.

    repository: a model repository that the export has filled; its files are verified.
    exposure: where it listens, on loopback only unless it says otherwise.
    log_file: receives Triton's own log; replaced at the first start. None: it goes to standard error.
    work_folder: receives what is made for this host; None: `repository` and the system's folder do.
    manifest_sha256: checksum that the repository's manifest must have.
    verify: `full` hashes every exported file at each start; `quick` hashes at later starts only what changed
    in size or modification time.
    start_timeout_s: how long the models may take to load.
    judge: False leaves the LLM out, whose verdicts are then `unavailable` or `skipped`.
    config: `auto` fits the configs to a CPU and takes the tracked ones on a GPU; `tracked` takes them
    anywhere; another name takes `configs/<config>.pbtxt` of each model that has one.
    instances: how many of each encoder, with one thread each; by default as many as cores.
    cache_mib: size in MiB of the cache of the encoders' answers to repeated texts; 0 for none.
    trace_url: OTLP/HTTP endpoint of the spans, such as `http://host:4318/v1/traces`; None: no traces.
    triton: folder of a tritonserver that is laid out as in NVIDIA's images; None: /opt/tritonserver where
    it exists, else the one in the nvidia-pytriton wheel.
    trace_rate: every how many requests one is traced.
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
