"""What all tests share: the demo members, loaded in PyTorch."""

import signal
from functools import cache

import pytest

from export_scripts.checkpoint import Checkpoint, load_checkpoint
from export_scripts.members import ENCODERS, Member
from export_scripts.sources import DEMO_WEIGHTS

# A shell starts background jobs with SIGINT ignored, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def demo_checkpoint(name: str) -> Checkpoint:
    """The demo member `name` in PyTorch."""
    return load_checkpoint(DEMO_WEIGHTS / name, ENCODERS[name])


@pytest.fixture(params=list(ENCODERS))
def member(request: pytest.FixtureRequest) -> Member:
    """Each member in turn."""
    return ENCODERS[request.param]


@pytest.fixture
def checkpoint(member: Member) -> Checkpoint:
    """The demo checkpoint of `member`."""
    return demo_checkpoint(member.name)
