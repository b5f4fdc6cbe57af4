"""A normal caller during an attack; it sends known texts and compares the verdicts with the expected ones."""

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from tribunal import Client, TribunalError, Verdict

from launcher.recovery.background import Background
from perf.load.tally import agrees

PAUSE_S = 0.05
TIMEOUT_S = 30.0


class Bystander:
    """Sends one text after another in a thread, as a context manager.

    The constructor requests the expected verdicts and raises TribunalError if the server does not give them.
    """

    def __init__(self, url: str, texts: Sequence[str]) -> None:
        self._url = url
        with Client(url, timeout_s=TIMEOUT_S) as client:
            self._expected = {text: client.moderate(text, judge="never") for text in texts}
        self._next = itertools.cycle(self._expected.items())
        self._background = Background(self._ask_next, PAUSE_S)
        self.latencies_ms: list[float] = []
        self.failed: Counter[str] = Counter()
        self.wrong: list[str] = []

    def __enter__(self) -> "Bystander":
        self._client = Client(self._url, timeout_s=TIMEOUT_S)
        self._background.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._background.__exit__()
        self._client.close()

    def _ask_next(self) -> None:
        self._ask_one(self._client, *next(self._next))

    def ask_each_once(self) -> None:
        """Send each text once more, after the context; a text without a verdict counts as wrong."""
        with Client(self._url, timeout_s=TIMEOUT_S) as client:
            for text, expected in self._expected.items():
                failed = self.failed.total()
                self._ask_one(client, text, expected)
                if self.failed.total() > failed:
                    self.wrong.append(f"{text[:60]!r}: no verdict from {self._url} after the attack")

    def _ask_one(self, client: Client, text: str, expected: Verdict) -> None:
        started_s = time.perf_counter()
        try:
            verdict = client.moderate(text, judge="never")
        except TribunalError as error:
            self.failed[type(error).__name__] += 1
            return
        self.latencies_ms.append((time.perf_counter() - started_s) * 1000)
        if not agrees(verdict, expected):
            self.wrong.append(f"{text[:60]!r}: {verdict}")
