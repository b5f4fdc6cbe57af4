"""Runs one tritonserver: start, wait until every model is ready, stop and leave nothing behind."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from local_server.backends_directory import assemble_backends
from local_server.command import GRPC_ADMIN_HEADER, LOOPBACK, Ports, server_arguments, server_environment
from local_server.errors import StartError
from local_server.installation import find_installation
from local_server.preconditions import (
    listening,
    require_exported,
    require_free,
    require_judge_environment,
)
from local_server.prepacking import prepack_encoders
from local_server.tuning import available_cores, write_local_configs

# The models that need vLLM.
LLM_MODELS = {"judge_prompt", "phi3", "toxicity_judge"}
POLL_INTERVAL_S = 0.1
# gRPC otherwise waits longer and longer before it tries a server again that was not there yet.
PROMPT_RECONNECTION = [
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
]
STOP_TIMEOUT_S = 20.0


class TritonServer:
    """A tritonserver on loopback, as a context manager.

    repository: a model repository that the export has filled.
    log_file: receives Triton's own log; replaced at each start.
    start_timeout_s: how long the models may take to load.
    judge: False leaves the LLM out, whose verdicts are then `unavailable` or `skipped`.
    tuned: False serves the tracked configs as they are, without `configs/local.pbtxt`.
    instances: how many of each encoder, with one thread each; by default as many as cores.
    cache_mib: size in MiB of the cache of the encoders' answers to repeated texts; 0 for none.
    trace_url: OTLP/HTTP endpoint that gets the spans of every `trace_rate`-th request; None for no traces.
    on_wait: called every POLL_INTERVAL_S seconds while the models load.

    Entering raises StartError, after which nothing of the server is left.
    """

    def __init__(
        self,
        repository: Path,
        *,
        ports: Ports | None = None,
        log_file: Path,
        start_timeout_s: float = 120.0,
        judge: bool = True,
        tuned: bool = True,
        instances: int | None = None,
        cache_mib: int = 0,
        trace_url: str | None = None,
        trace_rate: int = 1,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.repository = repository.resolve()
        self.ports = ports or Ports()
        self.log_file = log_file
        self._start_timeout_s = start_timeout_s
        self._judge = judge
        self._tuned = tuned
        self._instances = instances or available_cores()
        self._cache_mib = cache_mib
        self._trace_url = trace_url
        self._trace_rate = trace_rate
        self._on_wait = on_wait
        self._admin_key = secrets.token_urlsafe(24)

    @property
    def grpc_url(self) -> str:
        """Address of the gRPC endpoint, `host:port`."""
        return f"{LOOPBACK}:{self.ports.grpc}"

    @property
    def http_url(self) -> str:
        """Address of the HTTP endpoint, with its scheme."""
        return f"http://{LOOPBACK}:{self.ports.http}"

    @property
    def metrics_url(self) -> str:
        """Address of the Prometheus metrics."""
        return f"http://{LOOPBACK}:{self.ports.metrics}/metrics"

    @property
    def admin_headers(self) -> dict[str, str]:
        """gRPC metadata that open the restricted APIs of this server."""
        return {GRPC_ADMIN_HEADER: self._admin_key}

    @property
    def models(self) -> set[str]:
        """Names of the models that are served; without the LLM's where no judge was exported."""
        models = {path.parent.name for path in self.repository.glob("*/config.pbtxt")}
        exported = (self.repository / "phi3" / "1" / "model.json").exists()
        return models if self._judge and exported else models - LLM_MODELS

    @property
    def pid(self) -> int:
        """Process id of tritonserver, which leads the process group of all that it starts."""
        return self._process.pid

    def __enter__(self) -> "TritonServer":
        require_exported(self.repository)
        if LLM_MODELS & self.models:
            require_judge_environment()
        require_free(self.ports)
        installation = find_installation()
        if self._tuned:
            prepack_encoders(self.repository)
            write_local_configs(self.repository, self._instances)
        self._folder = Path(tempfile.mkdtemp(prefix="tribunal-"))
        try:
            backends = self._folder / "backends"
            assemble_backends(backends, installation)
            arguments = server_arguments(
                installation,
                repository=self.repository,
                backends=backends,
                ports=self.ports,
                admin_key=self._admin_key,
                shm_prefix=self._folder.name,
                models=self.models,
                tuned=self._tuned,
                cache_mib=self._cache_mib,
                trace_url=self._trace_url,
                trace_rate=self._trace_rate,
            )
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            with self.log_file.open("wb") as log:
                self._process = subprocess.Popen(
                    arguments,
                    env=server_environment(installation, os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def wait(self) -> int:
        """Block until tritonserver ends by itself; returns its exit status."""
        return self._process.wait()

    def stop(self) -> None:
        """End the server and every process that it started; safe to call more than once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for region in Path("/dev/shm").glob(f"{self._folder.name}*"):  # noqa: S108
            region.unlink()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + self._start_timeout_s
        with triton.InferenceServerClient(self.grpc_url, channel_args=PROMPT_RECONNECTION) as client:
            while not (_is_live(client) and listening(self.ports)):
                if self._process.poll() is not None:
                    raise StartError(
                        f"tritonserver ended with status {self._process.returncode}: "
                        f"{last_error(self.log_file)} (the whole log: {self.log_file})"
                    )
                if time.monotonic() > deadline_s:
                    raise StartError(
                        f"the models did not load within {self._start_timeout_s:g} s: see {self.log_file}, "
                        "or allow more with --start-timeout"
                    )
                self._on_wait()
                time.sleep(POLL_INTERVAL_S)
            models = self.models
            index = client.get_model_repository_index(headers=self.admin_headers)
        failed = [model for model in index.models if model.name in models and model.state != "READY"]
        if failed:
            # An ensemble that only waits for a failed model has no reason of its own.
            reasons = "; ".join(
                f"{model.name}: {one_line(model.reason)}"
                for model in failed
                if model.reason or len(failed) == 1
            )
            raise StartError(f"a model failed to load: {reasons} (the whole log: {self.log_file})")


def _is_live(client: triton.InferenceServerClient) -> bool:
    try:
        return bool(client.is_server_live(client_timeout=1.0))
    except InferenceServerException:
        return False


def one_line(reason: str) -> str:
    """First line that says something: what a model's traceback comes to."""
    return next((line.strip() for line in reason.splitlines() if line.strip()), "no reason given")


def last_error(log_file: Path) -> str:
    """Last line of Triton's log that is an error, else its last line."""
    lines = [line for line in log_file.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E", "error", "Error"))]
    return (errors or lines or ["it wrote no log"])[-1]
