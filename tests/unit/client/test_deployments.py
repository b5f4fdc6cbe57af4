"""The client where programs run it: other versions of Python, and threads of gunicorn's forked workers.

The versions are those on PATH; each gets the client's packages in an environment of its own.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from launcher.exposure.ports import free_ports
from launcher.repository.contract import CHECKOUT
from tests.unit.client.http_server import http_server
from tests.unit.client.kserve_server import kserve_server

CALLS = """
import asyncio, multiprocessing, sys, warnings
from tribunal import AsyncClient, Client

# Python warns of every fork while other threads run.
warnings.filterwarnings("ignore", ".*multi-threaded")

with Client(sys.argv[1], timeout_s=10) as client:
    print(client.moderate("a text", judge="never").flagged, flush=True)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: print(client.moderate("a text").flagged, flush=True))
    child.start()
    child.join()
both = AsyncClient(sys.argv[1], timeout_s=10)
for _ in range(2):
    print(asyncio.run(both.moderate("a text", judge="never")).flagged)
"""
# One client, used before gunicorn forks its workers.
APPLICATION = """
import os
from tribunal import Client

client = Client(os.environ["TRIBUNAL_URL"], timeout_s=10)
assert not client.moderate("before the fork", judge="never").flagged

def app(environ, start_response):
    flagged = client.moderate(environ["QUERY_STRING"], judge="never").flagged
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"{flagged} {os.getpid()}".encode()]
"""
WORKERS, THREADS, REQUESTS = 2, 4, 60


@pytest.fixture(params=["grpc", "http"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with ExitStack() as running:
        if request.param == "grpc":
            yield running.enter_context(kserve_server()).url
        else:
            yield running.enter_context(http_server()).url


def installed_pythons() -> dict[str, str]:
    """Interpreters other than ours by version; a version manager's names without an interpreter fail."""
    found = {version: shutil.which(f"python{version}") for version in ("3.12", "3.13", "3.14")}
    return {
        version: python
        for version, python in found.items()
        if python and not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode
    }


INSTALLED = installed_pythons()


@pytest.fixture(scope="module", params=["ours", *INSTALLED])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the client's packages."""
    if request.param == "ours":
        return sys.executable
    folder = tmp_path_factory.mktemp("python")
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", INSTALLED[request.param], str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, str(CHECKOUT)], check=True)
    return python


def test_each_version_of_python(url: str, python: str) -> None:
    ran = subprocess.run(
        [python, "-W", "always", "-c", CALLS, url],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "client")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout.split(), ran.stderr) == (["False"] * 4, "")


def test_threads_of_gunicorns_workers_share_a_client_that_was_used_before_the_fork(
    url: str, tmp_path: Path
) -> None:
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    (tmp_path / "application.py").write_text(APPLICATION, "utf-8")
    address = f"127.0.0.1:{free_ports().http}"
    options = [f"--workers={WORKERS}", f"--threads={THREADS}", "--preload", "--bind", address]
    running = subprocess.Popen(
        [gunicorn, *options, "application:app"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "client"), "TRIBUNAL_URL": url},
    )

    def answer(number: int) -> list[str]:
        with urlopen(f"http://{address}/?{number}", timeout=20) as response:
            return str(response.read().decode()).split()

    try:
        deadline_s = time.monotonic() + 20
        while True:
            try:
                answer(0)
                break
            except OSError:
                assert time.monotonic() < deadline_s
                time.sleep(0.1)
        with ThreadPoolExecutor(WORKERS * THREADS) as pool:
            answers = list(pool.map(answer, range(REQUESTS)))
    finally:
        running.terminate()
        running.wait(timeout=20)
    assert {flagged for flagged, _ in answers} == {"False"}
    assert running.pid not in {int(process) for _, process in answers}
