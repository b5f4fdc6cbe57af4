"""Measures how busy the first GPU is, by nvidia-smi."""

import shutil
import subprocess
import threading
from types import TracebackType

PERIOD_S = 0.2


class GpuMeter:
    """Utilisation and memory of the first GPU during a context; None without a GPU."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    @staticmethod
    def name() -> str | None:
        """The GPU and its driver."""
        return _query("name,driver_version")

    @property
    def mean_percent(self) -> float | None:
        """Mean share of time with a kernel on the GPU."""
        return round(sum(s[0] for s in self._samples) / len(self._samples), 1) if self._samples else None

    @property
    def most_mib(self) -> float | None:
        """Highest memory of all processes."""
        return max((memory for _, memory in self._samples), default=None)

    def __enter__(self) -> "GpuMeter":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ending.wait(PERIOD_S):
            answer = _query("utilization.gpu,memory.used", "csv,noheader,nounits")
            if answer is None:
                return
            percent, memory = answer.split(",")
            self._samples.append((float(percent), float(memory)))


def _query(fields: str, form: str = "csv,noheader") -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--id=0", f"--query-gpu={fields}", f"--format={form}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
