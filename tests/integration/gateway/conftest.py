"""A real gateway in front of the real server, started once, and its page in a real Chromium."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from tribunal.gateway.admission.keys import hash_key

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer

START_TIMEOUT_S = 60
WITH_KEY, LIMITED = "key-of-anna", "key-of-ben"
POLICIES = """
[policies.strict]
refusal = "flag"
category_threshold = 0.3
category_thresholds = {Violence = 0.2}

[policies.encoders]
judge = "never"
category_thresholds = {Threat = 0.0}
"""
KEYS = f"""
[keys.anna]
sha256 = "{hash_key(WITH_KEY)}"
policy = "strict"

[keys.ben]
sha256 = "{hash_key(LIMITED)}"
rate_limit = "3/hour"
"""


@dataclass(frozen=True)
class RunningGateway:
    """One process of `tribunal gateway`, with its addresses and its log."""

    process: subprocess.Popen[bytes]
    http_url: str
    grpc_url: str
    metrics_url: str
    log_file: Path

    @property
    def log(self) -> str:
        """Its log so far."""
        return self.log_file.read_text("utf-8")


@contextmanager
def running_gateway(triton_url: str, folder: Path, *options: str) -> Iterator[RunningGateway]:
    """A gateway in its own process, which a signal stops at the end."""
    ports = free_ports()
    log_file = folder / "gateway.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tribunal",
                "gateway",
                *("--url", triton_url, "--port", str(ports.http), "--grpc-port", str(ports.grpc)),
                *("--metrics-port", str(ports.metrics), *options),
            ],
            stdout=log,
            stderr=log,
            env={key: value for key, value in os.environ.items() if not key.startswith("TRIBUNAL_")},
        )
    urls = (f"http://127.0.0.1:{ports.http}", f"127.0.0.1:{ports.grpc}", f"http://127.0.0.1:{ports.metrics}")
    gateway = RunningGateway(process, *urls, log_file)
    try:
        _await_ready(gateway)
        yield gateway
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _await_ready(gateway: RunningGateway) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        assert gateway.process.poll() is None, gateway.log
        try:
            if httpx.get(f"{gateway.http_url}/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the gateway is not ready: {gateway.log}")


def until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Wait for `condition`, at most `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


@pytest.fixture(scope="session")
def gateway(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway without keys, in front of the demo server."""
    with running_gateway(server.grpc_url, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium: `apt-get install chromium` as root")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def guarded(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with policies that requires keys."""
    folder = tmp_path_factory.mktemp("guarded")
    files = {"policies": POLICIES, "keys": KEYS}
    options = []
    for name, content in files.items():
        (folder / name).write_text(content)
        options += [f"--{name}", str(folder / name)]
    with running_gateway(server.grpc_url, folder, *options) as running:
        yield running


@dataclass
class Tab:
    """A page and its errors. expected: parts of messages that Chromium's console may have."""

    page: Page
    expected: tuple[str, ...] = ()
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def note(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.complaints if not any(part in text for part in self.expected)]

    def open(self, gateway: RunningGateway) -> Page:
        self.page.goto(gateway.http_url)
        expect(self.page.locator("#weights")).not_to_be_empty()
        return self.page


OpenTab = Callable[..., Tab]


@pytest.fixture
def tab(browser: Browser) -> Iterator[OpenTab]:
    """Opens tabs; fails if a script of one failed, or if one sent a request to another host."""
    tabs: list[Tab] = []

    def new(*expected: str, **options: Any) -> Tab:
        opened = Tab(browser.new_context(**options).new_page(), expected)
        opened.page.on("console", opened.note)
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda request: opened.hosts.add(urlsplit(request.url).netloc))
        tabs.append(opened)
        return opened

    yield new
    for opened in tabs:
        assert opened.unexpected == []
        assert opened.hosts == {urlsplit(opened.page.url).netloc}
        opened.page.context.close()
