"""Gets the verdicts of many records concurrently, in order; waits if the server is unavailable."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, Self, TypeVar

from tribunal.client import Client
from tribunal.contract import MAX_BATCH_SIZE, JudgeMode
from tribunal.errors import DeadlineExceeded, InvalidInput, ServerError, ServerUnavailable, TribunalError
from tribunal.server_info import Weights
from tribunal.verdict import Verdict

# A text fails after so many failed requests for it alone, each to a ready server.
ASKS = 3
POLL_INTERVAL_S = 0.5
# Completed batches, per batch in flight, that may wait for an earlier batch.
AHEAD = 4
# Its verdict shows which categories and options the server has.
ANY_TEXT = "The bread is fresh."


class Askable(Protocol):
    """A record with texts to moderate."""

    @property
    def texts(self) -> list[str]:
        """The texts, none if the record has its outcome."""
        ...

    def answered(self, answers: Sequence[Verdict | TribunalError], /) -> Self:
        """The record with its outcome, by an answer for each text."""
        ...


AnyRecord = TypeVar("AnyRecord", bound=Askable)


@dataclass
class Asker:
    """Sends requests to one server from several threads.

    wait_s: seconds to wait for an unavailable server before ServerUnavailable is raised.
    spans: whether the encoders also read each sentence by itself.
    weights: of the server; InvalidInput is raised if it restarts with others.
    on_wait: called with True when the wait begins and with False when it ends.
    stopping: set to give up at once.
    """

    client: Client
    judge: JudgeMode | None
    explain: bool
    wait_s: float
    spans: bool = False
    weights: Mapping[str, Weights] | None = None
    on_wait: Callable[[bool], None] = lambda _: None
    stopping: threading.Event = field(default_factory=threading.Event)

    def complete(self, records: Sequence[AnyRecord], request_size: int = MAX_BATCH_SIZE) -> list[AnyRecord]:
        """`records` with their outcomes, in order; raises ServerUnavailable or AccessDenied.

        request_size: texts in a request.
        """
        texts = [text for record in records for text in record.texts]
        starts = range(0, len(texts), request_size)
        answers = (answer for start in starts for answer in self._ask(texts[start : start + request_size]))
        return [record.answered(list(islice(answers, len(record.texts)))) for record in records]

    def wait_until_ready(self) -> None:
        """Return when the server gives verdicts and its weights are known.

        Raises ServerUnavailable after `wait_s`, and InvalidInput if it restarted with other weights.
        """
        deadline_s = time.monotonic() + self.wait_s
        is_waiting = False
        try:
            while not self.stopping.is_set():
                try:
                    if self.client.is_ready():
                        if is_waiting or self.weights is None:
                            self._note_weights()
                        return
                    problem = "the server runs but gives no verdicts yet"
                except (ServerUnavailable, DeadlineExceeded, ServerError) as error:
                    problem = str(error)
                if time.monotonic() > deadline_s:
                    raise ServerUnavailable(f"gave up after {self.wait_s:g} s: {problem}")
                if not is_waiting:
                    self.on_wait(True)
                    is_waiting = True
                self.stopping.wait(POLL_INTERVAL_S)
            raise ServerUnavailable("the scan was stopped")
        finally:
            if is_waiting:
                self.on_wait(False)

    def require_answer(self) -> None:
        """Raise the error that each record would get from a server that lacks a requested option."""
        (answer,) = self._ask([ANY_TEXT])
        if isinstance(answer, TribunalError):
            raise answer

    def _note_weights(self) -> None:
        weights = self.client.info().weights
        if self.weights is not None and weights != self.weights:
            raise InvalidInput(
                "the server restarted with other weights: serve the old ones to resume, or give "
                "--overwrite to start over"
            )
        self.weights = weights

    def _ask(self, texts: Sequence[str]) -> list[Verdict | TribunalError]:
        """A verdict or an error for each text; a failed request is split in halves."""
        if not texts:
            return []
        asks = 0
        unavailable_since_s: float | None = None
        while True:
            try:
                outcomes = self.client.moderate_batch(
                    texts, judge=self.judge, explain=self.explain, spans=self.spans, return_errors=True
                )
                _raise_unless_refused(outcomes)
                return outcomes
            except (DeadlineExceeded, ServerError) as error:
                failure: TribunalError = error
                asks += 1
                self.wait_until_ready()
                if len(texts) > 1 or asks == ASKS:
                    break
            except ServerUnavailable:
                # The server may report ready and still refuse every request.
                unavailable_since_s = unavailable_since_s or time.monotonic()
                if time.monotonic() > unavailable_since_s + self.wait_s:
                    raise
                self.stopping.wait(POLL_INTERVAL_S)
                self.wait_until_ready()
        if len(texts) == 1:
            return [failure]
        middle = len(texts) // 2
        return self._ask(texts[:middle]) + self._ask(texts[middle:])


def _raise_unless_refused(outcomes: Sequence[Verdict | TribunalError]) -> None:
    """Raise the first error that is not about its text, because the server may recover."""
    for outcome in outcomes:
        if isinstance(outcome, TribunalError) and not isinstance(outcome, InvalidInput):
            raise outcome


def _batches(records: Iterator[AnyRecord], batch_size: int) -> Iterator[list[AnyRecord]]:
    """`records` in batches with at least `batch_size` texts, of which a record without any counts one."""
    batch: list[AnyRecord] = []
    texts = 0
    for record in records:
        batch.append(record)
        texts += max(1, len(record.texts))
        if texts >= batch_size:
            yield batch
            batch, texts = [], 0
    if batch:
        yield batch


def completed(
    records: Iterable[AnyRecord],
    asker: Asker,
    *,
    concurrency: int,
    batch_size: int,
    stop_reading: Callable[[], None] = lambda: None,
) -> Generator[list[AnyRecord]]:
    """`records` with their outcomes in order, a batch at a time, each as soon as its turn comes.

    concurrency: requests in flight. batch_size: texts in a request. No more than
    AHEAD * concurrency * batch_size records are held, or fewer with more texts each. Raises what `asker`
    raises.
    stop_reading: ends `records`, which are read in a thread of their own and may wait for more.
    """
    records = iter(records)
    asked: queue.SimpleQueue[Future[list[AnyRecord]] | None] = queue.SimpleQueue()
    room = threading.Semaphore(AHEAD * concurrency)
    pool = ThreadPoolExecutor(concurrency)

    def ask_ahead() -> None:
        try:
            for batch in _batches(records, batch_size):
                room.acquire()
                if asker.stopping.is_set():
                    return
                asked.put(pool.submit(asker.complete, batch, batch_size))
        except Exception as error:  # noqa: BLE001 - it is raised in its turn
            failed: Future[list[AnyRecord]] = Future()
            failed.set_exception(error)
            asked.put(failed)
        finally:
            asked.put(None)

    reader = threading.Thread(target=ask_ahead, name="scan-reader")
    reader.start()
    try:
        while (batch := asked.get()) is not None:
            yield batch.result()
            room.release()
    finally:
        asker.stopping.set()
        stop_reading()
        room.release()
        reader.join()
        pool.shutdown(wait=False, cancel_futures=True)
