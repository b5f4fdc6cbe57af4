"""Guards a stream with threads: the caller's thread reads chunks, another runs the checks."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tribunal.contract import JudgeMode
from tribunal.guard.cutting import Check, GuardedText
from tribunal.guard.errors import StreamFlagged
from tribunal.guard.options import GuardOptions
from tribunal.verdict import Verdict

Ask = Callable[[Sequence[str], JudgeMode | None], Sequence[Verdict]]


def guarded(ask: Ask, chunks: Iterable[Any], options: GuardOptions) -> Generator[str]:
    """The text of `chunks` that `options` allow to release.

    ask: returns the verdicts of texts. Raises StreamFlagged, and the errors of `ask` and `chunks`; closes
    `chunks` when it ends.
    """
    text = GuardedText(options)
    with _closing(chunks), _one_at_a_time() as pool:
        checking: tuple[Check, Future[Verdict | None]] | None = None
        reader = iter(chunks)
        while not text.is_complete:
            if checking is None and (check := text.next_check()) is not None:
                checking = check, pool.submit(first_flagged, ask, check)
            if checking is not None and (checking[1].done() or not text.has_room):
                check, answer = checking
                flagged = answer.result()
                if flagged is not None:
                    raise StreamFlagged(flagged, text.released_chars)
                text.passed(check)
                checking = None
            elif text.has_room:
                try:
                    text.add(options.read(next(reader)))
                except StopIteration:
                    text.end()
            if piece := text.take():
                yield piece


def first_flagged(ask: Ask, check: Check) -> Verdict | None:
    """The verdict of the first flagged text of `check`; None if it passed."""
    for texts, judge in check.questions:
        for verdict in ask(texts, judge):
            if verdict.flagged:
                return verdict
    return None


@contextmanager
def _closing(chunks: Iterable[Any]) -> Iterator[None]:
    """Close the source of the chunks, such as a generator or an SDK's stream."""
    try:
        yield
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


@contextmanager
def _one_at_a_time() -> Iterator[ThreadPoolExecutor]:
    """A thread for the checks; a check in flight when the stream is left ends by its own deadline."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="guard")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
