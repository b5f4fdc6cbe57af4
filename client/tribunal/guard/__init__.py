"""Checks an LLM's answer while it is generated: what is given out has been checked."""

from tribunal.guard.errors import StreamFlagged
from tribunal.guard.options import Release

__all__ = ["Release", "StreamFlagged"]
