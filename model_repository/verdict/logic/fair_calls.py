"""Shares a bounded number of calls: the next free call goes to the request with the fewest in flight.

Ties go to the request whose last call started longest ago; a new request comes first.
"""

import asyncio
import contextlib
import time
from collections import deque


class FairCalls:
    """Limits the concurrent calls of all requests and of each request."""

    def __init__(self, calls: int, calls_of_request: int) -> None:
        self._free = calls
        self._calls_of_request = calls_of_request
        self._granted = 0
        self._waiting: list[Share] = []

    def share(self) -> "Share":
        """A new request's share of the calls."""
        return Share(self)

    def wait(self, share: "Share") -> None:
        """Add `share` to those that wait for a call."""
        if share not in self._waiting:
            self._waiting.append(share)
        self._grant()

    def give_back(self) -> None:
        """Pass an ended call to the next waiting share."""
        self._free += 1
        self._grant()

    def _grant(self) -> None:
        self._waiting = [share for share in self._waiting if share.is_waiting()]
        while self._free:
            below = [share for share in self._waiting if share.in_flight < self._calls_of_request]
            if not below:
                return
            next_share = min(below, key=lambda share: (share.in_flight, share.last_grant))
            self._free -= 1
            self._granted += 1
            next_share.grant(self._granted)
            if not next_share.is_waiting():
                self._waiting.remove(next_share)


class Share:
    """The calls of one request.

    in_flight: its calls in flight.
    last_grant: number of its last call, counted over all requests; 0 before its first.
    started_s: time of its first call on the monotonic clock; None before.
    """

    def __init__(self, calls: FairCalls) -> None:
        self.in_flight = 0
        self.last_grant = 0
        self.started_s: float | None = None
        self._started = asyncio.Event()
        self._calls = calls
        self._places: deque[asyncio.Future[None]] = deque()

    async def wait_for_start(self, timeout_s: float) -> None:
        """Wait for the first call, no longer than `timeout_s`."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._started.wait(), timeout_s)

    async def acquire(self) -> None:
        """Wait for a call; `release` returns it."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._places.append(place)
        self._calls.wait(self)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Return one call."""
        self.in_flight -= 1
        self._calls.give_back()

    def is_waiting(self) -> bool:
        """Whether a caller of `acquire` waits for a call of this share."""
        while self._places and self._places[0].cancelled():
            self._places.popleft()
        return bool(self._places)

    def grant(self, number: int) -> None:
        """Give call `number` to the longest waiting `acquire`; `is_waiting` must be true."""
        self._places.popleft().set_result(None)
        self.in_flight += 1
        self.last_grant = number
        if self.started_s is None:
            self.started_s = time.monotonic()
            self._started.set()
