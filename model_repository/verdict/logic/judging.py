"""Asks the judge about texts, within a time limit and a fair share of its calls."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .answer import UNAVAILABLE, Judgement, Status, worst
from .fair_calls import FairCalls, Share

# Asks about one piece of a text, with or without a reason.
Ask = Callable[[str, bool], Awaitable[Judgement]]


@dataclass(frozen=True)
class Limits:
    """Limits of the judge's calls.

    timeout_s: maximum wait for a request's first call, and maximum time from that call's start, so that other
    requests do not use up its time.
    calls, calls_of_request: maximum concurrent calls of all requests of this process and of one.
    """

    timeout_s: float
    calls: int
    calls_of_request: int


def share_of_calls(calls: int, config: Mapping[str, Any]) -> int:
    """One process's share of the server's concurrent calls, at least 1.

    config: the model's config as JSON, whose instance groups say how many processes share the calls.
    """
    processes = sum(int(group["count"]) for group in config["instance_group"])
    return max(1, calls // max(1, processes))


@dataclass(frozen=True)
class JudgedText:
    """A text, and whether to generate a reason."""

    text: str
    explain: bool


@dataclass
class Judging:
    """Asks the judge for all requests.

    split: splits a text into pieces that the judge reads one by one.
    observe: receives the status of a text's judgement, and its duration in seconds.
    warn: receives a line for the log.
    """

    ask: Ask
    split: Callable[[str], list[str]]
    limits: Limits
    observe: Callable[[Status, float], None]
    warn: Callable[[str], None]
    _calls: FairCalls = field(init=False)
    _in_flight: set[asyncio.Task[Judgement]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._calls = FairCalls(self.limits.calls, self.limits.calls_of_request)

    async def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        """Judgement of each text of one request."""
        share = self._calls.share()
        return await asyncio.gather(*(self._judge_text(text, share) for text in texts))

    async def _judge_text(self, text: JudgedText, share: Share) -> Judgement:
        started_s = time.monotonic()
        try:
            judgement = await self._judge_pieces(text, share)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the policy decides
            self.warn(f"a text could not be split for the judge: {error!r}")
            judgement = UNAVAILABLE
        self.observe(judgement.status, time.monotonic() - started_s)
        return judgement

    async def _judge_pieces(self, text: JudgedText, share: Share) -> Judgement:
        tasks = [
            asyncio.create_task(self._ask_in_turn(piece, text.explain, share))
            for piece in self.split(text.text)
        ]
        await share.wait_for_start(self.limits.timeout_s)
        done, late = await asyncio.wait(tasks, timeout=self._remaining_s(share))
        for task in late:
            task.cancel()
        if late:
            limit = f"{self.limits.timeout_s:g} s"
            self.warn(f"{len(late)} of {len(tasks)} pieces of a text not answered within {limit}")
        return worst([task.result() if task in done else UNAVAILABLE for task in tasks])

    def _remaining_s(self, share: Share) -> float:
        if share.started_s is None:
            return 0
        return max(share.started_s + self.limits.timeout_s - time.monotonic(), 0)

    async def _ask_in_turn(self, piece: str, explain: bool, share: Share) -> Judgement:
        await share.acquire()
        # A call cannot be cancelled before Triton 25.04, which adds `cancel` to the iterator over a decoupled
        # model's answers. It counts as in flight until it ends.
        call = asyncio.create_task(self._call(piece, explain, share))
        self._in_flight.add(call)
        call.add_done_callback(self._in_flight.discard)
        return await asyncio.shield(call)

    async def _call(self, piece: str, explain: bool, share: Share) -> Judgement:
        try:
            return await self.ask(piece, explain)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the policy decides
            self.warn(f"the judge could not be asked: {error!r}")
            return UNAVAILABLE
        finally:
            share.release()
