"""The synchronous client."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import TypeVar

from tenacity import Retrying

from tribunal.connection import (
    DEFAULT_TIMEOUT_S,
    DEFAULT_URL,
    Connection,
    check_deadline,
    parse_address,
)
from tribunal.contract import JUDGE, JUDGEMENT, MANIFEST, MODERATION, VERDICT, JudgeMode
from tribunal.error_mapping import retry_policy, translated_errors
from tribunal.messages import (
    Tensor,
    Tensors,
    judgement_request,
    moderation_requests,
    read_piece,
    read_server_info,
    read_verdicts,
    require_size,
)
from tribunal.server_info import ServerInfo
from tribunal.transport import open_transport
from tribunal.verdict import Verdict

Result = TypeVar("Result")


class Client:
    """Asks a Tribunal server for verdicts; a context manager.

    url: `host:port` or `grpcs://host:port` for gRPC, `http://host:port` or `https://host:port` for HTTP.
    timeout_s: deadline of each call in seconds, all waiting and trying again included.
    connection: TLS, headers, compression, retries and limits.

    Over gRPC it may be shared between threads, and over HTTP each thread has its own connection.
    Every method raises a TribunalError: InvalidInput, AccessDenied, ServerUnavailable, DeadlineExceeded
    or ServerError.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        connection: Connection | None = None,
    ) -> None:
        self._url = url
        self._timeout_s = check_deadline(timeout_s)
        self._connection = connection or Connection()
        self._transport = open_transport(parse_address(url, self._connection), self._connection)
        self._in_flight = threading.BoundedSemaphore(self._connection.max_in_flight)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection."""
        self._transport.close()

    def moderate(self, text: str, *, judge: JudgeMode | None = None, explain: bool = True) -> Verdict:
        """Verdict of one text; the options are those of `moderate_batch`."""
        return self.moderate_batch([text], judge=judge, explain=explain)[0]

    def moderate_batch(
        self, texts: Sequence[str], *, judge: JudgeMode | None = None, explain: bool = True
    ) -> list[Verdict]:
        """Verdicts of `texts`, one each, in their order.

        judge: ask the LLM `always`, `never`, or `auto` (where the encoders are undecided); None
        leaves it to the server's config.
        explain: False for the LLM's label and score without its reason, which is faster.

        Sent as requests of at most 32 texts, one after the other, each with a deadline of its own. A
        text that breaks a limit fails the call with InvalidInput.
        """
        return [
            verdict
            for request in moderation_requests(texts, judge, explain)
            for verdict in read_verdicts(request, self._infer(MODERATION, request, VERDICT))
        ]

    def stream_judgement(self, text: str) -> Iterator[str]:
        """The LLM's answer on one text, label first, piece by piece as it is generated; gRPC only.

        It is tried again only before its first piece.
        """
        request = judgement_request(text)
        require_size(request, self._connection.max_message_bytes)
        deadline_s = time.monotonic() + self._timeout_s

        def begin() -> tuple[list[Tensor], Generator[Tensor]]:
            pieces = self._transport.stream(JUDGE, request, JUDGEMENT, remaining_s(deadline_s))
            return list(itertools.islice(pieces, 1)), pieces

        with translated_errors(self._url, self._timeout_s), self._slot_in_flight(deadline_s):
            first, others = self._retrying(begin)
            with contextlib.closing(others):
                for piece in itertools.chain(first, others):
                    yield read_piece(piece)

    def is_ready(self) -> bool:
        """Whether the server gives verdicts now; False, not an error, where it still loads."""
        return self._call(lambda timeout_s: self._transport.is_ready(MODERATION, timeout_s))

    def info(self) -> ServerInfo:
        """What the server runs, and from which weights."""
        names = sorted(self._call(self._transport.models))
        models = {name: self._call(partial(self._transport.is_ready, name)) for name in names}
        version = self._call(self._transport.version)
        return read_server_info(version, models, self._infer(MANIFEST, {}, MANIFEST))

    def _infer(self, model: str, inputs: Tensors, output: str) -> Tensor:
        require_size(inputs, self._connection.max_message_bytes)
        return self._call(lambda timeout_s: self._transport.infer(model, inputs, output, timeout_s))

    def _call(self, call: Callable[[float], Result]) -> Result:
        """Make `call` once a slot is free, and again where the retry policy says so, all by one deadline."""
        deadline_s = time.monotonic() + self._timeout_s

        def attempt() -> Result:
            with self._slot_in_flight(deadline_s):
                return call(remaining_s(deadline_s))

        return self._retrying(attempt)

    def _retrying(self, attempt: Callable[[], Result]) -> Result:
        def sorted_attempt() -> Result:
            with translated_errors(self._url, self._timeout_s):
                return attempt()

        return Retrying(**retry_policy(self._connection.retries, self._timeout_s))(sorted_attempt)

    @contextlib.contextmanager
    def _slot_in_flight(self, deadline_s: float) -> Iterator[None]:
        """Hold one of the `max_in_flight` slots; raises TimeoutError where none is free by the deadline."""
        if not self._in_flight.acquire(timeout=remaining_s(deadline_s)):
            raise TimeoutError
        try:
            yield
        finally:
            self._in_flight.release()


def remaining_s(deadline_s: float) -> float:
    """Seconds until `deadline_s` of the monotonic clock, and a millisecond where it is over."""
    return max(deadline_s - time.monotonic(), 0.001)
