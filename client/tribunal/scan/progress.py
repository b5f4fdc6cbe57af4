"""The progress and the summary of a scan on standard error."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from tribunal.console import one_line
from tribunal.scan.summary import Summary

SCANNING, WAITING = "scanning", "[yellow]waiting for the server[/yellow]"


class ScanProgress:
    """A progress bar with rate and time left, if standard error is a terminal; a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[records]} records, {task.fields[rate_per_s]:.0f}/s, left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(SCANNING, total=None, records=0, rate_per_s=0.0)
        self._asked = 0
        self._started_s = time.monotonic()

    def __enter__(self) -> "ScanProgress":
        self._progress.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @property
    def rate_per_s(self) -> float:
        """Records per second of this run."""
        return self._asked / max(time.monotonic() - self._started_s, 1e-9)

    def start(self) -> None:
        """Start to measure the rate, once the server is available and completed records are skipped."""
        self._started_s = time.monotonic()

    def show_progress(self, asked: int, records: int, share: float | None) -> None:
        """Show that `asked` more records are complete, `records` in all, which is `share` of the input."""
        self._asked += asked
        self._progress.update(
            self._task,
            completed=share or 0,
            total=None if share is None else 1,
            records=records,
            rate_per_s=self.rate_per_s,
        )

    def show_waiting(self, is_waiting: bool) -> None:
        """Show whether the scan waits for the server."""
        if is_waiting and not self._console.is_terminal:
            self._console.print("waiting for the server")
        self._progress.update(self._task, description=WAITING if is_waiting else SCANNING)

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._console.print(message, soft_wrap=True, markup=False)

    def show(self, summary: Summary) -> None:
        """The counts of the whole output, and the rate of this run."""
        table = Table(show_edge=False, show_header=False, pad_edge=False)
        table.add_column()
        table.add_column(justify="right")
        for name, count in summary.rows():
            table.add_row(one_line(name), f"{count:,}")
        if self._asked:
            table.add_row("records/s of this run", f"{self.rate_per_s:,.0f}")
        self._console.print(table)
