"""Fixtures of all tests: the demo encoders, loaded in PyTorch."""

import signal
from functools import cache

import pytest

from export_scripts.checkpoint import Checkpoint, load_checkpoint
from export_scripts.hub_models import ENCODERS, HubModel
from export_scripts.sources import DEMO_WEIGHTS

# A shell starts background jobs with SIGINT ignored, and processes that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
