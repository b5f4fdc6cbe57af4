"""A client that was used before a fork: the child opens connections and slots of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.unit.client.http_server import http_server
from tests.unit.client.kserve_server import kserve_server

# The child prints its outcome; the parent ends it if it prints nothing in time.
HEAD = """
import asyncio, multiprocessing, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from tribunal import AsyncClient, Client, Connection, TribunalError

url = sys.argv[1]

def forked(call):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    def run():
        try:
            answers.put(call())
        except TribunalError as error:
            answers.put(f"{type(error).__name__}: {error}")
    child = context.Process(target=run)
    child.start()
    try:
        print(answers.get(timeout=10), flush=True)
    finally:
        child.kill()

def ask(client):
    return client.moderate("a text", judge="never").flagged
"""
USED_BEFORE = """
with Client(url, timeout_s=5) as client:
    print(ask(client), flush=True)
    forked(lambda: ask(client))
    forked(lambda: (ask(client), client.close())[0])
    print(ask(client))
"""
A_GRANDCHILD = """
with Client(url, timeout_s=5) as client:
    print(ask(client), flush=True)
    def both():
        forked(lambda: ask(client))
        return ask(client)
    forked(both)
    print(ask(client))
"""
CLOSED_UNUSED = """
client = Client(url, timeout_s=5)
print(ask(client), flush=True)
forked(lambda: client.close())
print(ask(client))
"""
ASYNCIO = """
client = AsyncClient(url, timeout_s=5)
def asked():
    return asyncio.run(client.moderate("a text", judge="never")).flagged
print(asked(), flush=True)
forked(asked)
print(asked())
"""
TAKEN_SLOTS = """
client = Client(url, timeout_s=3, connection=Connection(max_in_flight=1))
asking = threading.Thread(target=lambda: client.moderate_batch(["held"], judge="never", return_errors=True))
asking.start()
while client._opened.value().in_flight._value:
    time.sleep(0.01)
forked(lambda: ask(client))
asking.join()
"""
OPEN_LOOP = """
client = AsyncClient(url, timeout_s=5)
loop = asyncio.new_event_loop()
print(loop.run_until_complete(client.moderate("a text", judge="never")).flagged, flush=True)
forked(lambda: asyncio.run(client.moderate("a text", judge="never")).flagged)
print(loop.run_until_complete(client.moderate("a text", judge="never")).flagged, flush=True)
loop.run_until_complete(client.close())
"""


@pytest.fixture(params=["grpc", "http"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with ExitStack() as running:
        if request.param == "grpc":
            kserve = running.enter_context(kserve_server())
            kserve.held_text = "held"
            yield kserve.url
        else:
            yield running.enter_context(http_server()).url


def lines(code: str, url: str) -> list[str]:
    """What the process prints that runs `code`, and its children."""
    ran = subprocess.run(
        [sys.executable, "-c", HEAD + code, url], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize(
    ("code", "answers"),
    [
        (USED_BEFORE, ["False"] * 4),
        (A_GRANDCHILD, ["False"] * 4),
        (CLOSED_UNUSED, ["False", "None", "False"]),
        (ASYNCIO, ["False"] * 3),
    ],
)
def test_a_child_opens_its_own(url: str, code: str, answers: list[str]) -> None:
    assert lines(code, url) == answers


@pytest.mark.parametrize("url", ["grpc"], indirect=True)
def test_slots_that_the_parent_holds_are_free_in_the_child(url: str) -> None:
    assert lines(TAKEN_SLOTS, url) == ["False"]


def test_a_fork_while_asyncio_has_a_connection_answers_or_says_what_to_do(url: str) -> None:
    parent, child, again = lines(OPEN_LOOP, url)
    assert parent == again == "False"
    if url.startswith("http"):
        assert child == "False"
    else:
        assert child.startswith("InvalidInput: this process was forked while an AsyncClient used gRPC: close")
