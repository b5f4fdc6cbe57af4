"""Runs one tritonserver: start, wait until every model is ready, stop and leave nothing behind."""

import compileall
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from launcher import CrashError, StartError
from launcher.exposure.ports import Ports, listening
from launcher.host.devices import has_gpu
from launcher.host.work_folder import link_repository
from launcher.options import ServerOptions
from launcher.process.command_line import GRPC_ADMIN_HEADER, server_arguments
from launcher.process.environment import server_environment
from launcher.process.failures import last_error, require_loaded
from launcher.process.find import find_installation
from launcher.process.installation import Installation
from launcher.process.model_control import UNREACHABLE, ModelControl
from launcher.process.preconditions import require_startable
from launcher.process.scratch_folder import ScratchFolder, python_environments
from launcher.process.self_check import SelfCheck, SelfCheckError
from launcher.process.shared_memory import group_members, regions_mapped_by, remove_unmapped
from launcher.repository.config import read_config
from launcher.repository.contract import JUDGE_MODELS
from launcher.repository.manifest import read_manifest
from launcher.repository.self_check import read_references

# Short, because the ensemble answers callers from its first moment, until the self-check holds it back.
POLL_INTERVAL_S = 0.02
# Together less than the stop timeouts of Compose (40 s) and Kubernetes (50 s).
DRAIN_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 20.0
# How long a crash may take to end the process after the connection broke.
CRASH_TIMEOUT_S = 1.0


class TritonServer:
    """A tritonserver, as a context manager.

    Entering raises StartError, or one of its subclasses: CrashError if a signal ended tritonserver,
    SelfCheckError if an encoder computes other scores than the export's references. No process then remains.
    It can be entered again after it was left.

    self_check: while it runs, the check of its encoders. refusal: why `refuse` ended it, if it did.
    """

    self_check: SelfCheck

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.repository = options.repository.resolve()
        self._admin_key = secrets.token_urlsafe(24)
        self._log_mode = "wb"
        self._serving = False
        self.refusal: SelfCheckError | None = None

    @property
    def ports(self) -> Ports:
        """Ports of the three endpoints."""
        return self.options.ports

    @property
    def grpc_url(self) -> str:
        """Address of the gRPC endpoint, `host:port`."""
        return f"{self.options.exposure.reached_at('grpc')}:{self.ports.grpc}"

    @property
    def http_url(self) -> str:
        """Address of the HTTP endpoint, with its scheme."""
        return f"http://{self.options.exposure.reached_at('http')}:{self.ports.http}"

    @property
    def metrics_url(self) -> str:
        """Address of the Prometheus metrics."""
        return f"http://{self.options.exposure.reached_at('metrics')}:{self.ports.metrics}/metrics"

    @property
    def log_name(self) -> str:
        """Where Triton's own log is, in words."""
        return str(self.options.log_file or "standard error")

    @property
    def admin_headers(self) -> dict[str, str]:
        """gRPC metadata that open the restricted APIs of this server."""
        return {GRPC_ADMIN_HEADER: self._admin_key}

    @property
    def models(self) -> set[str]:
        """Names of the served models; without the LLM's if no judge was exported."""
        models = {path.parent.name for path in self.repository.glob("*/config.pbtxt")}
        exported = (self.repository / "phi3" / "1" / "model.json").exists()
        return models if self.options.judge and exported else models - JUDGE_MODELS

    @property
    def has_judge(self) -> bool:
        """Whether the LLM is served."""
        return bool(self.models & JUDGE_MODELS)

    @property
    def pid(self) -> int:
        """Process id of tritonserver, which leads the process group of all its descendants."""
        return self._process.pid

    def __enter__(self) -> "TritonServer":
        options = self.options
        self.refusal = None
        installation = find_installation(options.triton)
        require_startable(options, self.repository, installation, judge=self.has_judge)
        self.control = self._control()
        references = read_references(read_manifest(self.repository))
        served, config_name = self._prepare(installation)
        self._scratch = ScratchFolder(options.work_folder)
        # In the system's folder, because a path of a socket has at most 107 characters.
        self._temporary = ScratchFolder(None)
        self._environments = python_environments()
        self.self_check = SelfCheck(
            control=self.control,
            references={name: references[name] for name in references.keys() & self.models},
            file=self._scratch.path / "self_check.json",
            on_gpu=has_gpu(),
        )
        try:
            arguments = server_arguments(
                installation,
                options,
                repository=served,
                backends=installation.backend_directory(self._scratch.path),
                admin_key=self._admin_key,
                shm_prefix=self._scratch.path.name,
                models=self.models,
                config_name=config_name,
            )
            own = installation.environment(os.environ)
            environment = server_environment(
                own,
                os.environ,
                options.work_folder,
                self._temporary.path,
                self.self_check.file,
                judge=self.has_judge,
            )
            self._process = self._spawn(arguments, environment)
        except BaseException:
            self._remove_scratch()
            raise
        try:
            self._wait_until_ready()
            self._temporary.note_python_environments(self._environments)
            self._check_encoders()
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
        """Block until tritonserver ends by itself; returns its exit status.

        Raises the SelfCheckError that `refuse` was called with.
        """
        status = self._process.wait()
        if self.refusal:
            raise self.refusal
        return status

    def refuse(self, error: SelfCheckError) -> None:
        """Kill tritonserver at once, because an encoder failed its self-check while it served."""
        self.refusal = error
        self._serving = False
        self._process.kill()

    def stop(self) -> None:
        """Drain the requests in flight, then stop the server and every process that it started.

        Safe to call more than once. An exception from a signal handler ends the wait early.
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
            regions = regions_mapped_by(group_members(self._process.pid))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            remove_unmapped(regions)
            self._remove_scratch()

    def _remove_scratch(self) -> None:
        if not self._temporary.has_noted:
            # The start failed.
            self._temporary.note_python_environments(self._environments)
        self._scratch.remove()
        self._temporary.remove()

    def _spawn(self, arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        log_file = self.options.log_file
        with contextlib.ExitStack() as stack:
            if log_file:
                log_file.parent.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(log_file.open(self._log_mode)) if log_file else sys.stderr
            self._log_mode = "ab"
            return subprocess.Popen(
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[self._scratch.lock_fd, self._temporary.lock_fd],
            )

    def _prepare(self, installation: Installation) -> tuple[Path, str | None]:
        """Write the files for this host; returns the folder to serve and the name of its configs."""
        served = self.repository
        options = self.options
        config_name = None if options.config in ("auto", "tracked") else options.config
        try:
            if options.work_folder:
                options.work_folder.mkdir(parents=True, exist_ok=True)
                served = link_repository(self.repository, options.work_folder.resolve())
            if options.config == "auto":
                config_name = installation.fit_to_host(served, options.instances)
            # Loading an ensemble starts each of its models a second time whose folder changed since it was
            # loaded, and bytecode that a model writes changes it.
            compileall.compile_dir(served, quiet=2)
        except OSError as error:
            raise StartError(
                f"cannot write the configs and weights for this host ({error}): "
                "give a writable folder with --work-folder"
            ) from error
        return served, config_name

    def _control(self) -> ModelControl:
        models = self.models
        return ModelControl(
            address=f"{self.options.exposure.reached_at('http')}:{self.ports.http}",
            admin_key=self._admin_key,
            models=models,
            composed_of={name: steps for name in models if (steps := self._steps(name))},
            load_timeout_s=self.options.start_timeout_s,
        )

    def _steps(self, model: str) -> set[str]:
        """Models of the steps of `model`; empty if it is not an ensemble."""
        config = read_config(self.repository / model / "config.pbtxt")
        return {step.model_name for step in config.ensemble_scheduling.step}

    def _wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + self.options.start_timeout_s
        while not (self.control.is_live() and listening(self.ports, self.options.exposure)):
            self._require_running()
            if time.monotonic() > deadline_s:
                raise StartError(
                    f"the models did not load within {self.options.start_timeout_s:g} s: allow more with "
                    f"--start-timeout, or see {self.log_name}"
                )
            time.sleep(POLL_INTERVAL_S)
        require_loaded(self.control, self.log_name)

    def _check_encoders(self) -> None:
        """Answer no caller until the encoders have passed the self-check.

        Raises SelfCheckError if an encoder computes other scores; StartError if one does not answer.
        """
        checked = self.self_check.references.keys()
        held_back = [name for name, steps in self.control.composed_of.items() if checked & set(steps)]
        try:
            # An ensemble that was loaded once is unavailable, for which clients wait; one that never was is
            # unknown, which is an error.
            for ensemble in held_back:
                self.control.unload(ensemble)
            self.self_check.check_all()
            for ensemble in held_back:
                self.control.load(ensemble)
        except UNREACHABLE as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CRASH_TIMEOUT_S)
            self._require_running()
            raise StartError(f"the self-check got no answer ({error}): see {self.log_name}") from error
        self._serving = True

    def _require_running(self) -> None:
        status = self._process.poll()
        if status is not None:
            kind = CrashError if status < 0 else StartError
            raise kind(f"tritonserver ended with status {status}: {self._last_error()}")

    def _last_error(self) -> str:
        if self.options.log_file is None:
            return f"see {self.log_name}"
        return f"{last_error(self.options.log_file)} (the whole log: {self.log_name})"
