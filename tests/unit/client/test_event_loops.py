"""One AsyncClient in several event loops: each has its own connection, and no loop leaves noise behind."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.unit.client.http_server import http_server
from tests.unit.client.kserve_server import kserve_server

HEAD = """
import asyncio, gc, sys, threading
from concurrent.futures import ThreadPoolExecutor
from tribunal import AsyncClient

client = AsyncClient(sys.argv[1], timeout_s=5)

async def ask():
    return (await client.moderate("a text", judge="never")).flagged

async def batch():
    return [verdict.flagged for verdict in await client.moderate_batch(["a text"], judge="never")]

"""
ONE_AFTER_THE_OTHER = """
print(asyncio.run(ask()), asyncio.run(batch()), asyncio.run(ask()))
"""
IN_THREADS = """
with ThreadPoolExecutor(4) as pool:
    print(*pool.map(lambda _: asyncio.run(ask()), range(8)))
"""
A_CLOSED_LOOP = """
loop = asyncio.new_event_loop()
print(loop.run_until_complete(ask()))
loop.close()
print(asyncio.run(ask()))
gc.collect()
"""
A_FAILED_LOOP = """
async def fail():
    await ask()
    raise RuntimeError("on purpose")

try:
    asyncio.run(fail())
except RuntimeError as error:
    print(error)
print(asyncio.run(ask()))
"""
CLOSED_AND_ENTERED_AGAIN = """
async def entered():
    async with client:
        return await ask()

print(asyncio.run(entered()), asyncio.run(entered()))
"""
CLOSED_FROM_ANOTHER_LOOP = """
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()
print(asyncio.run_coroutine_threadsafe(ask(), loop).result())
asyncio.run(client.close())
async def until_closed():
    while client._opened._held:
        await asyncio.sleep(0.01)
asyncio.run_coroutine_threadsafe(asyncio.wait_for(until_closed(), 5), loop).result()
loop.call_soon_threadsafe(loop.stop)
thread.join()
loop.close()
"""
UVLOOP = """
import uvloop
print(uvloop.run(ask()), uvloop.run(ask()), asyncio.run(ask()))
"""


@pytest.fixture(params=["grpc", "http"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with ExitStack() as running:
        if request.param == "grpc":
            yield running.enter_context(kserve_server()).url
        else:
            yield running.enter_context(http_server()).url


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (ONE_AFTER_THE_OTHER, "False [False] False"),
        (IN_THREADS, " ".join(["False"] * 8)),
        (A_CLOSED_LOOP, "False\nFalse"),
        (A_FAILED_LOOP, "on purpose\nFalse"),
        (CLOSED_AND_ENTERED_AGAIN, "False False"),
        (CLOSED_FROM_ANOTHER_LOOP, "False"),
        (UVLOOP, "False False False"),
    ],
)
def test_every_loop_has_its_own_connection_and_ends_without_noise(url: str, code: str, printed: str) -> None:
    if "uvloop" in code:
        pytest.importorskip("uvloop")
    # A loop that is closed without its shutdown cannot end its connections, and Python warns of them.
    warnings = ["-W", "ignore::ResourceWarning" if code == A_CLOSED_LOOP else "always"]
    ran = subprocess.run(
        [sys.executable, *warnings, "-c", HEAD + code, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout.strip(), ran.stderr) == (printed, "")
