"""Fixtures of all tests: the demo encoders, loaded in PyTorch."""

import signal
from functools import cache

import pytest

from export_scripts.checkpoint import Checkpoint, load_checkpoint
from export_scripts.hub_models import ENCODERS, HubModel
from export_scripts.sources import DEMO_WEIGHTS

# A shell starts background jobs with SIGINT ignored, and processes that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our option."""
    parser.addoption("--fail-on-skip", action="store_true", help="fail if a test was skipped")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tested, and how to install what is missing."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        reasons = sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped})
        terminalreporter.write_line(f"{len(skipped)} tests did not run: {'; '.join(reasons)}", yellow=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run with skipped tests, if asked to."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped") if reporter else None
    if session.config.getoption("--fail-on-skip") and skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@cache
def demo_checkpoint(name: str) -> Checkpoint:
    """The demo encoder `name` in PyTorch."""
    return load_checkpoint(DEMO_WEIGHTS / name, ENCODERS[name])


@pytest.fixture(params=list(ENCODERS))
def encoder(request: pytest.FixtureRequest) -> HubModel:
    """Each encoder in turn."""
    return ENCODERS[request.param]


@pytest.fixture
def checkpoint(encoder: HubModel) -> Checkpoint:
    """The demo checkpoint of `encoder`."""
    return demo_checkpoint(encoder.name)
