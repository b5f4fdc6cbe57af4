"""Runs one tritonserver: start, wait until every model is ready, stop and leave nothing behind."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from local_server.backends_directory import assemble_backends
from local_server.command import GRPC_ADMIN_HEADER, Ports, server_arguments, server_environment
from local_server.errors import CrashError, StartError
from local_server.exposure import ON_LOOPBACK, Exposure
from local_server.installation import find_installation
from local_server.model_control import UNREACHABLE, ModelControl
from local_server.preconditions import listening, require_exported, require_free, require_judge_environment
from local_server.prepacking import prepack_encoders
from local_server.run_folder import RunFolder
from local_server.tuning import available_cores, read_config, write_local_configs
from local_server.verification import verify
from local_server.work_folder import link_repository

# The models that need vLLM.
LLM_MODELS = {"judge_prompt", "phi3", "toxicity_judge"}
POLL_INTERVAL_S = 0.1
# Together less than the 40 s that Compose, and the 50 s that Kubernetes is told to wait.
DRAIN_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 20.0


class TritonServer:
    """A tritonserver, as a context manager.

    repository: a model repository that the export has filled; its files are verified.
    exposure: where it listens, on loopback only unless it says otherwise.
    log_file: receives Triton's own log; replaced at the first start. None: it goes to standard error.
    work_folder: receives what is made for this host; None: `repository` and the system's folder do.
    manifest_sha256: checksum that the repository's manifest must have.
    start_timeout_s: how long the models may take to load.
    judge: False leaves the LLM out, whose verdicts are then `unavailable` or `skipped`.
    tuned: False serves the tracked configs as they are, without `configs/local.pbtxt`.
    instances: how many of each encoder, with one thread each; by default as many as cores.
    cache_mib: size in MiB of the cache of the encoders' answers to repeated texts; 0 for none.
    trace_url: OTLP/HTTP endpoint that gets the spans of every `trace_rate`-th request; None for no traces.

    Entering raises StartError, CrashError of them where tritonserver was ended by a signal, after which
    nothing of the server is left. It can be entered again once it was left.
    """

    def __init__(
        self,
        repository: Path,
        *,
        ports: Ports | None = None,
        exposure: Exposure = ON_LOOPBACK,
        log_file: Path | None,
        work_folder: Path | None = None,
        manifest_sha256: str | None = None,
        start_timeout_s: float = 120.0,
        judge: bool = True,
        tuned: bool = True,
        instances: int | None = None,
        cache_mib: int = 0,
        trace_url: str | None = None,
        trace_rate: int = 1,
    ) -> None:
        self.repository = repository.resolve()
        self.ports = ports or Ports()
        self.exposure = exposure
        self.log_file = log_file
        self._work_folder = work_folder
        self._manifest_sha256 = manifest_sha256
        self._start_timeout_s = start_timeout_s
        self._judge = judge
        self._tuned = tuned
        self._instances = instances or available_cores()
        self._cache_mib = cache_mib
        self._trace_url = trace_url
        self._trace_rate = trace_rate
        self._admin_key = secrets.token_urlsafe(24)
        self._log_mode = "wb"
        self._serving = False

    @property
    def grpc_url(self) -> str:
        """Address of the gRPC endpoint, `host:port`."""
        return f"{self.exposure.reached_at('grpc')}:{self.ports.grpc}"

    @property
    def http_url(self) -> str:
        """Address of the HTTP endpoint, with its scheme."""
        return f"http://{self.exposure.reached_at('http')}:{self.ports.http}"

    @property
    def metrics_url(self) -> str:
        """Address of the Prometheus metrics."""
        return f"http://{self.exposure.reached_at('metrics')}:{self.ports.metrics}/metrics"

    @property
    def log_name(self) -> str:
        """Where Triton's own log is, in words."""
        return str(self.log_file or "standard error")

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
        require_free(self.ports, self.exposure)
        if self.exposure.tls:
            self.exposure.tls.require_usable()
        verify(self.repository, self._manifest_sha256)
        self.control = self._control()
        installation = find_installation()
        served = self._prepare()
        self._folder = RunFolder(self._work_folder)
        try:
            backends = self._folder.path / "backends"
            assemble_backends(backends, installation)
            arguments = server_arguments(
                installation,
                repository=served,
                backends=backends,
                ports=self.ports,
                exposure=self.exposure,
                admin_key=self._admin_key,
                shm_prefix=self._folder.path.name,
                models=self.models,
                tuned=self._tuned,
                cache_mib=self._cache_mib,
                trace_url=self._trace_url,
                trace_rate=self._trace_rate,
            )
            with contextlib.ExitStack() as stack:
                if self.log_file:
                    self.log_file.parent.mkdir(parents=True, exist_ok=True)
                log = stack.enter_context(self.log_file.open(self._log_mode)) if self.log_file else sys.stderr
                self._log_mode = "ab"
                self._process = subprocess.Popen(
                    arguments,
                    env=server_environment(installation, os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=[self._folder.lock_fd],
                )
        except BaseException:
            self._folder.remove()
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
        """Answer the requests that are in, then end the server and every process that it started.

        Safe to call more than once. An exception from a signal handler cuts the waiting short.
        """
        try:
            if self._serving:
                self._serving = False
                with contextlib.suppress(*UNREACHABLE):
                    self.control.drain(DRAIN_TIMEOUT_S)
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                self._process.terminate()
                self._process.wait(STOP_TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._folder.remove()

    def _prepare(self) -> Path:
        """Make what this host needs; returns the folder of models to serve."""
        served = self.repository
        try:
            if self._work_folder:
                self._work_folder.mkdir(parents=True, exist_ok=True)
                served = link_repository(self.repository, self._work_folder.resolve())
            if self._tuned:
                prepack_encoders(served)
                write_local_configs(served, self._instances)
        except OSError as error:
            raise StartError(
                f"cannot write what is made for this host ({error}): name a folder with --work-folder"
            ) from error
        return served

    def _control(self) -> ModelControl:
        models = self.models
        return ModelControl(
            address=f"{self.exposure.reached_at('http')}:{self.ports.http}",
            admin_key=self._admin_key,
            models=models,
            ensembles={name for name in models if self._platform(name) == "ensemble"},
            load_timeout_s=self._start_timeout_s,
        )

    def _platform(self, model: str) -> str:
        return str(read_config(self.repository / model / "config.pbtxt").platform)

    def _wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + self._start_timeout_s
        while not (self.control.is_live() and listening(self.ports, self.exposure)):
            status = self._process.poll()
            if status is not None:
                kind = CrashError if status < 0 else StartError
                raise kind(f"tritonserver ended with status {status}: {self._last_error()}")
            if time.monotonic() > deadline_s:
                raise StartError(
                    f"the models did not load within {self._start_timeout_s:g} s: allow more with "
                    f"--start-timeout, or see {self.log_name}"
                )
            time.sleep(POLL_INTERVAL_S)
        failed = self.control.failures()
        if failed:
            # An ensemble that only waits for a failed model has no reason of its own.
            reasons = "; ".join(
                f"{model}: {one_line(reason)}"
                for model, reason in failed.items()
                if reason or len(failed) == 1
            )
            raise StartError(f"a model failed to load: {reasons} (the whole log: {self.log_name})")
        self._serving = True

    def _last_error(self) -> str:
        if self.log_file is None:
            return f"see {self.log_name}"
        return f"{last_error(self.log_file)} (the whole log: {self.log_name})"


def one_line(reason: str) -> str:
    """First line that says something: what a model's traceback comes to."""
    return next((line.strip() for line in reason.splitlines() if line.strip()), "no reason given")


def last_error(log_file: Path) -> str:
    """Last line of Triton's log that is an error, else its last line."""
    lines = [line for line in log_file.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E", "error", "Error"))]
    return (errors or lines or ["it wrote no log"])[-1]
