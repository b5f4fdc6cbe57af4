"""A value that belongs to one process: a fork makes its own."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ProcessOwned(Generic[Value]):
    """The value of this process, such as its connection, made at the first use.

    A fork has the parent's sockets and locks, but not its threads. So it makes a value of its own, and keeps
    the parent's untouched, because to close them would end the parent's connections.
    """

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._values: dict[int, Value] = {}

    def value(self) -> Value:
        """The value of this process; thread-safe without a lock, which a fork could inherit locked."""
        process = os.getpid()
        value = self._values.get(process)
        return self._values.setdefault(process, self._make()) if value is None else value

    def take(self) -> Value | None:
        """Give up the value of this process, so that the next use makes another; None if there is none."""
        return self._values.pop(os.getpid(), None)
