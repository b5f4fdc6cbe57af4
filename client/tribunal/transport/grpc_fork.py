"""Notices a fork of a process in which gRPC's asyncio API runs.

The fork has its state, but not its thread, so a call there would block and hold the interpreter's lock.
"""

import os
import threading

from tribunal.errors import InvalidInput

# The function of the thread, in the thread's name.
POLLER = "_poll_wrapper"


class _Forks:
    """Whether gRPC's asyncio API ran when this process was forked."""

    def __init__(self) -> None:
        self.has_lost_poller = False
        self._had_poller = False

    def before(self) -> None:
        self._had_poller = any(POLLER in thread.name for thread in threading.enumerate())

    def in_child(self) -> None:
        self.has_lost_poller = self.has_lost_poller or self._had_poller


_forks = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forks.before, after_in_child=_forks.in_child)


def require_poller() -> None:
    """Raise InvalidInput if gRPC's asyncio API cannot run in this process."""
    if _forks.has_lost_poller:
        raise InvalidInput(
            "this process was forked while an AsyncClient used gRPC: close the AsyncClient before the fork, "
            "start processes by spawn, or give http://"
        )
