"""The command line of one tritonserver process."""

from collections.abc import Collection
from pathlib import Path

from launcher.exposure.tls import Tls
from launcher.host.devices import has_gpu
from launcher.options import ServerOptions
from launcher.process.installation import Installation

# Triton 24.10 has published vulnerabilities in its shared-memory API; the other APIs change the server.
RESTRICTED_APIS = "shared-memory,model-repository,logging,trace"
ADMIN_HEADER = "tribunal-admin-key"
GRPC_ADMIN_HEADER = f"triton-grpc-protocol-{ADMIN_HEADER}"
# Triton waits so long for idle HTTP connections to close, and again for models to unload; vLLM took 8 s on 2
# cores.
EXIT_TIMEOUT_S = 10


def server_arguments(
    installation: Installation,
    options: ServerOptions,
    *,
    repository: Path,
    backends: Path,
    admin_key: str,
    shm_prefix: str,
    models: Collection[str],
    config_name: str | None,
) -> list[str]:
    """Arguments of tritonserver, the binary first.

    repository: the served folder, which may have links to that of `options`.
    models: names of the models to load.
    config_name: serve `configs/<config_name>.pbtxt` of each model that has one.
    """
    exposure, ports = options.exposure, options.ports
    restricted = f"{RESTRICTED_APIS}:{ADMIN_HEADER}={admin_key}"
    return [
        str(installation.binary),
        f"--model-repository={repository}",
        *([f"--model-config-name={config_name}"] if config_name else []),
        f"--backend-directory={backends}",
        f"--cache-directory={installation.caches}",
        *([f"--cache-config=local,size={options.cache_mib * 2**20}"] if options.cache_mib else []),
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        f"--http-address={exposure.listens_on('http')}",
        f"--grpc-address={exposure.listens_on('grpc')}",
        f"--metrics-address={exposure.listens_on('metrics')}",
        f"--http-port={ports.http}",
        f"--grpc-port={ports.grpc}",
        f"--metrics-port={ports.metrics}",
        # Quantiles of each step's latency; the counters alone give means.
        "--metrics-config=summary_latencies=true",
        *(trace_arguments(options.trace_url, options.trace_rate) if options.trace_url else []),
        f"--http-restricted-api={restricted}",
        f"--grpc-restricted-protocol={restricted}",
        *_tls_arguments(exposure.tls),
        # The server keeps running after models failed to load, so that the launcher can ask for the reasons.
        "--exit-on-error=false",
        f"--exit-timeout-secs={EXIT_TIMEOUT_S}",
        "--strict-readiness=true",
        *([] if installation.auto_completes else ["--disable-auto-complete-config"]),
        # vLLM measures the free memory of a GPU while it loads, so nothing else may load at the same time.
        *(["--model-load-thread-count=1"] if has_gpu() else []),
        # Explicit control lets a model that lost its engine unload itself.
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in sorted(models)),
    ]


def trace_arguments(url: str, rate: int) -> list[str]:
    """Arguments that send the spans of every `rate`-th request to the OTLP/HTTP endpoint `url`."""
    settings = ("mode=opentelemetry", "level=TIMESTAMPS", f"rate={rate}", f"opentelemetry,url={url}")
    return [f"--trace-config={setting}" for setting in settings]


def _tls_arguments(tls: Tls | None) -> list[str]:
    if tls is None:
        return []
    return [
        "--grpc-use-ssl=true",
        f"--grpc-server-cert={tls.certificate}",
        f"--grpc-server-key={tls.key}",
        *(["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={tls.client_ca}"] if tls.client_ca else []),
    ]
