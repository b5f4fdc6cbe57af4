"""HTTP requests at a steady rate or by a number of callers, with the latency and status of each."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

HEADERS = {"Content-Type": "application/json"}
# A request without a response after this time hangs; every server here responds within 30 s.
HANG_S = 60.0
OK = "200"
HANGS = "hangs"


@dataclass(frozen=True)
class Sample:
    """One request: its start on the load's clock, its duration, and its status.

    status: its HTTP status, `hangs`, or the name of the connection error.
    """

    started_s: float
    latency_ms: float
    status: str


class HttpLoad:
    """Posts JSON documents to one address.

    bodies: request bodies, sent in a cycle.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, bodies: Sequence[bytes]) -> None:
        self._session = session
        self._url = url
        self._bodies = bodies
        self._sent = 0

    async def by_callers(self, callers: int, duration_s: float) -> list[Sample]:
        """Closed loop: each caller sends the next request when its previous one has ended."""
        samples: list[Sample] = []
        begin_s = time.perf_counter()

        async def call() -> None:
            while time.perf_counter() - begin_s < duration_s:
                samples.append(await self._send(begin_s))

        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(call())
        return samples

    async def at_rate(self, requests_per_s: float, duration_s: float, seed: int) -> list[Sample]:
        """Open loop: requests start at random times (seeded), whether or not others have ended."""
        rng = random.Random(seed)  # noqa: S311 - no secret
        samples: list[Sample] = []
        begin_s = time.perf_counter()

        async def call() -> None:
            samples.append(await self._send(begin_s))

        async with asyncio.TaskGroup() as group:
            arrives_s = rng.expovariate(requests_per_s)
            while arrives_s < duration_s:
                await asyncio.sleep(max(0.0, begin_s + arrives_s - time.perf_counter()))
                group.create_task(call())
                arrives_s += rng.expovariate(requests_per_s)
        return samples

    async def _send(self, begin_s: float) -> Sample:
        body = self._bodies[self._sent % len(self._bodies)]
        self._sent += 1
        started_s = time.perf_counter()
        try:
            async with self._session.post(self._url, data=body, headers=HEADERS) as response:
                await response.read()
                status = str(response.status)
        except TimeoutError:
            status = HANGS
        except aiohttp.ClientError as error:
            status = type(error).__name__
        return Sample(started_s - begin_s, (time.perf_counter() - started_s) * 1000, status)


@asynccontextmanager
async def http_load(url: str, bodies: Sequence[bytes]) -> AsyncIterator[HttpLoad]:
    """A load on `url`, with an unlimited number of connections."""
    timeout = aiohttp.ClientTimeout(total=HANG_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield HttpLoad(session, url, bodies)
