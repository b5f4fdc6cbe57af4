"""The tries of one call, and the error with which the call ends: the same for both clients and protocols."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tribunal.errors import DeadlineExceeded, Overloaded, ServerUnavailable, TribunalError
from tribunal.transport.deadline import no_answer
from tribunal.transport.faults import NoConnection
from tribunal.transport.proxy import Proxy


class Tries:
    """Counts the tries of one call, and keeps the last failure.

    A call whose time ends after a failed try, in a pause or in a later try, ends with that failure. It ends
    with DeadlineExceeded only if no try failed before. So the error does not depend on which timer fires
    first.

    url, timeout_s: of the client, for the messages; seconds. retries: how many the connection allows.
    proxy: through which the calls go.
    """

    def __init__(self, url: str, timeout_s: float, retries: int, proxy: Proxy | None = None) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._retries = retries
        self._advice = f"; {proxy.advice}" if proxy else ""
        self._started_s = time.monotonic()
        self._count = 0
        self._failure: ServerUnavailable | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """Run one try within the block; a success forgets the failures before it."""
        self._count += 1
        try:
            yield
        except ServerUnavailable as error:
            self._failure = error
            raise
        self._count, self._failure = 0, None

    def out_of_time(self) -> TribunalError:
        """The error of a call whose time has ended: the last failure, else DeadlineExceeded."""
        if self._failure is not None:
            return self.gave_up(self._failure)
        return DeadlineExceeded(f"{no_answer(self._url, self._timeout_s)}{self._advice}")

    def gave_up(self, error: ServerUnavailable, fault: str | None = None) -> ServerUnavailable:
        """`error` with the number of tries and the seconds they took.

        fault: a message in place of that of `error`. Without retries the message has no number.
        """
        kind = Overloaded if isinstance(error, Overloaded) else ServerUnavailable
        message = fault or str(error)
        if isinstance(error, NoConnection):
            message += self._advice
        if self._retries:
            tries = "1 try" if self._count == 1 else f"{self._count} tries"
            took_s = time.monotonic() - self._started_s
            message = f"{message} (gave up after {tries} in {took_s:.3g} s)"
        return kind(message, error.retry_after_s)
