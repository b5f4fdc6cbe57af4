"""Guards a stream from threads: chunks are read by the caller, checks run beside."""

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
    """The text of `chunks`, as far as `options` release it.

    ask: gives the verdicts of texts. Raises StreamFlagged, and what `ask` and `chunks` raise; closes
    `chunks` in the end.
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
    """The verdict of the first text of `check` that is flagged; None if it passed."""
    for texts, judge in check.questions:
        for verdict in ask(texts, judge):
            if verdict.flagged:
                return verdict
    return None


@contextmanager
def _closing(chunks: Iterable[Any]) -> Iterator[None]:
    """Close what the chunks come from, such as a generator or an SDK's stream."""
    try:
        yield
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


@contextmanager
def _one_at_a_time() -> Iterator[ThreadPoolExecutor]:
    """A thread for the checks; one under way when the stream is left ends by its own deadline."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="guard")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
