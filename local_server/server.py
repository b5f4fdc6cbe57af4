"""Runs one tritonserver: start, wait until every model is ready, stop and leave nothing behind."""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from local_server.backends_directory import assemble_backends
from local_server.command import ADMIN_HEADER, GRPC_ADMIN_HEADER, Ports, server_arguments, server_environment
from local_server.errors import StartError
from local_server.exposure import ON_LOOPBACK, Exposure
from local_server.installation import find_installation
from local_server.preconditions import (
    listening,
    require_exported,
    require_free,
    require_judge_environment,
)
from local_server.prepacking import prepack_encoders
from local_server.tuning import available_cores, read_config, write_local_configs
from local_server.verification import verify
from local_server.work_folder import link_repository

# The models that need vLLM.
LLM_MODELS = {"judge_prompt", "phi3", "toxicity_judge"}
POLL_INTERVAL_S = 0.1
PROBE_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 20.0


class TritonServer:
    """A tritonserver, as a context manager.

    repository: a model repository that the export has filled; its files are verified.
    exposure: where it listens, on loopback only unless it says otherwise.
    log_file: receives Triton's own log; replaced at each start. None: it goes to standard error.
    work_folder: receives what is made for this host; None: `repository` and the system's folder do.
    manifest_sha256: checksum that the repository's manifest must have.
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
        on_wait: Callable[[], None] = lambda: None,
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
        self._on_wait = on_wait
        self._admin_key = secrets.token_urlsafe(24)

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
        installation = find_installation()
        served = self._prepare()
        self._folder = Path(tempfile.mkdtemp(prefix="tribunal-", dir=self._work_folder))
        try:
            backends = self._folder / "backends"
            assemble_backends(backends, installation)
            arguments = server_arguments(
                installation,
                repository=served,
                backends=backends,
                ports=self.ports,
                exposure=self.exposure,
                admin_key=self._admin_key,
                shm_prefix=self._folder.name,
                models=self.models,
                tuned=self._tuned,
                cache_mib=self._cache_mib,
                trace_url=self._trace_url,
                trace_rate=self._trace_rate,
            )
            with contextlib.ExitStack() as stack:
                if self.log_file:
                    self.log_file.parent.mkdir(parents=True, exist_ok=True)
                log = stack.enter_context(self.log_file.open("wb")) if self.log_file else sys.stderr
                self._process = subprocess.Popen(
                    arguments,
                    env=server_environment(installation, os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
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

    def unready_models(self) -> list[str]:
        """Models that should be served and are not, those that others are made of first.

        Raises OSError or http.client.HTTPException where the server does not answer.
        """
        index = {model["name"]: model.get("state") for model in self._index()}
        unready = [name for name in self.models if index.get(name) != "READY"]
        return sorted(unready, key=lambda name: (self._is_ensemble(name), name))

    def load(self, model: str) -> None:
        """Load a model, or leave it as it is where it is loaded; raises as `unready_models` does."""
        self._ask("POST", f"/v2/repository/models/{model}/load", timeout_s=self._start_timeout_s)

    def unload(self, model: str) -> None:
        """Unload a model once its requests are done; raises as `unready_models` does."""
        self._ask("POST", f"/v2/repository/models/{model}/unload", timeout_s=self._start_timeout_s)

    def _is_ensemble(self, model: str) -> bool:
        return bool(read_config(self.repository / model / "config.pbtxt").platform == "ensemble")

    def _index(self) -> list[dict[str, str]]:
        index: list[dict[str, str]] = json.loads(self._ask("POST", "/v2/repository/index"))
        return index

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

    def _wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + self._start_timeout_s
        while not (self._is_live() and listening(self.ports, self.exposure)):
            if self._process.poll() is not None:
                raise StartError(
                    f"tritonserver ended with status {self._process.returncode}: {self._last_error()}"
                )
            if time.monotonic() > deadline_s:
                raise StartError(
                    f"the models did not load within {self._start_timeout_s:g} s: allow more with "
                    f"--start-timeout, or see {self.log_name}"
                )
            self._on_wait()
            time.sleep(POLL_INTERVAL_S)
        models = self.models
        failed = [
            model for model in self._index() if model["name"] in models and model.get("state") != "READY"
        ]
        if failed:
            # An ensemble that only waits for a failed model has no reason of its own.
            reasons = "; ".join(
                f"{model['name']}: {one_line(model.get('reason', ''))}"
                for model in failed
                if model.get("reason") or len(failed) == 1
            )
            raise StartError(f"a model failed to load: {reasons} (the whole log: {self.log_name})")

    def _is_live(self) -> bool:
        try:
            self._ask("GET", "/v2/health/live")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def _ask(self, method: str, path: str, timeout_s: float = PROBE_TIMEOUT_S) -> bytes:
        """Body of the answer over HTTP, which is plain whatever gRPC is; OSError, HTTPException."""
        connection = http.client.HTTPConnection(
            self.exposure.reached_at("http"), self.ports.http, timeout=timeout_s
        )
        with contextlib.closing(connection):
            connection.request(method, path, headers={ADMIN_HEADER: self._admin_key})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise http.client.HTTPException(f"{path}: {response.status} {response.read()[:500]!r}")
            return response.read()

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
