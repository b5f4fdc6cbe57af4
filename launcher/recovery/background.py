"""A step that a thread repeats until it is told to stop."""

import threading
from collections.abc import Callable
from types import TracebackType


class Background:
    """Repeats `step` in a thread with a pause before each, as a context manager.

    stopped: set at the end of the context. join_timeout_s: longest wait for the last step; None for no limit.
    """

    def __init__(
        self, step: Callable[[], object], pause_s: float, join_timeout_s: float | None = None
    ) -> None:
        self._step = step
        self._pause_s = pause_s
        self._join_timeout_s = join_timeout_s
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.stopped = threading.Event()

    def __enter__(self) -> "Background":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.stopped.set()
        self._thread.join(self._join_timeout_s)

    def _run(self) -> None:
        while not self.stopped.wait(self._pause_s):
            self._step()
