"""Checks an LLM's answer while it is generated, and releases only checked text."""

from tribunal.guard.errors import StreamFlagged
from tribunal.guard.options import Release

__all__ = ["Release", "StreamFlagged"]
