"""Restores each model that dies in a running tritonserver, independently of the others, until it succeeds.

Triton 24.10 does not restart a Python process that died: its model stays READY, and each request to it fails
with "Stub process is not healthy". A judge whose engine died is unloaded, and Triton does not reload it.
An encoder that was loaded again must pass its self-check before it counts as restored.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from launcher.process.model_control import UNREACHABLE
from launcher.process.self_check import SelfCheckError
from launcher.process.server import TritonServer
from launcher.recovery.background import Background
from launcher.recovery.backoff import BackOff
from launcher.recovery.events import Event, Kind, OnEvent
from launcher.recovery.processes import ServerProcesses

POLL_INTERVAL_S = 0.5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STOP_TIMEOUT_S = 1.0
UNLOAD_TIMEOUT_S = 3.0
UNLOAD_POLL_INTERVAL_S = 0.05
READY = "READY"
IN_BETWEEN = ("LOADING", "UNLOADING")


class Control(Protocol):
    """Triton's model repository, as the supervisor uses it; every method raises UNREACHABLE."""

    @property
    def models(self) -> Collection[str]:
        """Names of the models to serve."""

    @property
    def composed_of(self) -> Mapping[str, Collection[str]]:
        """The models of each ensemble's steps."""

    def states(self) -> dict[str, str]:
        """State of each model, such as READY, LOADING or UNAVAILABLE."""

    def instances(self, model: str) -> int:
        """Number of instances of a READY model."""

    def load(self, model: str) -> None:
        """Load a model; returns when it is READY."""

    def unload(self, model: str) -> None:
        """Start to unload a model."""


class Processes(Protocol):
    """The server's processes, as the supervisor sees and kills them."""

    def stubs(self) -> dict[int, str]:
        """Model of each running stub, by process id."""

    def kill_stubs(self, model: str) -> None:
        """Kill every stub of a model."""

    def kill_orphans(self) -> None:
        """Kill processes that outlived their stub."""


class Checks(Protocol):
    """The self-check of a server, as the supervisor uses it."""

    @property
    def references(self) -> Collection[str]:
        """Names of the models that it checks."""

    def check(self, model: str) -> None:
        """Return if a model answers as expected; raises SelfCheckError and UNREACHABLE."""


@dataclass
class Loss:
    """A model that does not serve.

    lost_s: since when, on the monotonic clock. next_s: time of the next attempt.
    """

    lost_s: float
    next_s: float
    pauses: BackOff = field(default_factory=lambda: BackOff(FIRST_PAUSE_S, LONGEST_PAUSE_S))
    restoring: bool = False


class Supervisor:
    """Watches the models of a server in a thread, as a context manager.

    Each model is restored in its own thread, so a model that loads slowly or fails does not delay the others.
    on_event: called when a model is lost, is restored, or cannot be restored.
    on_refusal: called when a model fails its self-check; the supervisor then restores nothing more.
    """

    def __init__(
        self,
        control: Control,
        processes: Processes,
        checks: Checks,
        on_event: OnEvent,
        on_refusal: Callable[[SelfCheckError], object],
    ) -> None:
        self._control = control
        self._processes = processes
        self._checks = checks
        self._on_event = on_event
        self._on_refusal = on_refusal
        # Loaded, or about to be, and not yet checked.
        self._unchecked: set[str] = set()
        self._losses: dict[str, Loss] = {}
        self._has_stubs: set[str] = set()
        self._instances: dict[str, int] = {}
        self._background = Background(self._watch, POLL_INTERVAL_S, STOP_TIMEOUT_S)
        self._stopped = self._background.stopped
        # Held while an ensemble loads, so that none is loaded after `__exit__` has returned.
        self._ensembles = threading.Lock()

    def __enter__(self) -> "Supervisor":
        self._has_stubs = set(self._processes.stubs().values())
        self._background.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._ensembles:
            self._stopped.set()
        # A model may take long to load; stopping the server ends that too.
        self._background.__exit__()

    def _watch(self) -> None:
        try:
            self.look()
        except UNREACHABLE as error:
            # If tritonserver has died, the caller that waits for it restarts it.
            self._say("unknown", f"the state of the models is not known: {error!r}")

    def look(self) -> None:
        """Find models that do not serve, and start to restore those that are due; raises UNREACHABLE."""
        states = self._control.states()
        running = Counter(self._processes.stubs().values())
        self._has_stubs.update(running)
        for model in sorted(self._control.models, key=lambda name: (name in self._control.composed_of, name)):
            if not self._is_lost(model, states, running):
                self._note_back(model, states)
                continue
            now_s = time.monotonic()
            if model not in self._losses:
                self._losses[model] = Loss(now_s, now_s)
                self._say("lost", f"{model} has died; restoring it", model)
            loss = self._losses[model]
            if not loss.restoring and now_s >= loss.next_s:
                loss.restoring = True
                died = states.get(model) == READY
                threading.Thread(target=self._restore, args=(model, loss, died), daemon=True).start()

    def _is_lost(self, model: str, states: Mapping[str, str], running: Mapping[str, int]) -> bool:
        """Whether a model needs to be restored; not while it loads or waits for others.

        A lost model is retried in any state: if its process died with requests, it stays in UNLOADING
        forever, but can still be loaded.
        """
        state = states.get(model)
        if state == READY:
            if model in self._unchecked:
                return True
            return model in self._has_stubs and running.get(model, 0) < self._expected(model)
        waits_for = self._control.composed_of.get(model, ())
        is_changing = state in IN_BETWEEN and model not in self._losses
        return not is_changing and all(
            states.get(name) == READY and name not in self._unchecked for name in waits_for
        )

    def _expected(self, model: str) -> int:
        if model not in self._instances:
            self._instances[model] = self._control.instances(model)
        return self._instances[model]

    def _note_back(self, model: str, states: Mapping[str, str]) -> None:
        loss = self._losses.get(model)
        if loss and not loss.restoring and states.get(model) == READY:
            del self._losses[model]
            lost_for_s = time.monotonic() - loss.lost_s
            self._say("restored", f"{model} is restored after {lost_for_s:.1f} s", model)

    def _restore(self, model: str, loss: Loss, died: bool) -> None:
        try:
            if died and not self._stopped.is_set():
                self._unload(model)
            if model in self._control.composed_of:
                with self._ensembles:
                    if not self._stopped.is_set():
                        self._control.load(model)
                # Triton has loaded a step again whose files have changed.
                for step in sorted(set(self._control.composed_of[model]) & set(self._checks.references)):
                    self._passes(step)
            elif not self._stopped.is_set():
                self._load_and_check(model)
        except UNREACHABLE as error:
            pause_s = loss.pauses.next_s()
            loss.next_s = time.monotonic() + pause_s
            line = f"{model} cannot be restored: {error!r}; next attempt in {pause_s:g} s"
            self._say("not_restored", line, model)
        finally:
            loss.restoring = False

    def _load_and_check(self, model: str) -> None:
        if model not in self._checks.references:
            self._control.load(model)
            return
        self._unchecked.add(model)
        # Triton would load them again together with the model, before the check.
        for ensemble, steps in self._control.composed_of.items():
            if model in steps:
                self._control.unload(ensemble)
        self._control.load(model)
        if self._passes(model):
            self._unchecked.discard(model)

    def _passes(self, model: str) -> bool:
        """Whether a model passes its self-check; if it fails, the server is refused. Raises UNREACHABLE."""
        try:
            self._checks.check(model)
        except SelfCheckError as error:
            if not self._stopped.is_set():
                self._stopped.set()
                self._on_refusal(error)
            return False
        return True

    def _unload(self, model: str) -> None:
        """Unload the rest of a model; Triton answers at once and finishes a little later.

        Unloading hangs if the dead process held requests, so this kills the model's remaining processes then.
        """
        self._control.unload(model)
        deadline_s = time.monotonic() + UNLOAD_TIMEOUT_S
        while model in self._processes.stubs().values() or self._control.states().get(model) == READY:
            if time.monotonic() > deadline_s:
                self._processes.kill_stubs(model)
                break
            time.sleep(UNLOAD_POLL_INTERVAL_S)
        self._processes.kill_orphans()

    def _say(self, kind: Kind, line: str, model: str | None = None) -> None:
        if not self._stopped.is_set():
            self._on_event(Event(kind, line, model))


def supervise(server: TritonServer, on_event: OnEvent) -> Supervisor:
    """A supervisor of the running `server`."""
    processes = ServerProcesses(server.pid, server.models)
    return Supervisor(server.control, processes, server.self_check, on_event, server.refuse)
