"""The synchronous client."""

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from tenacity import Retrying

from tribunal.batches import (
    REQUESTS_AT_ONCE,
    Call,
    Outcome,
    Request,
    encode_each,
    merged,
    only_verdict,
    requests_of,
)
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection, parse_address
from tribunal.contract import JUDGE, JUDGEMENT, MANIFEST, MODERATION, VERDICT, JudgeMode
from tribunal.errors import ServerUnavailable, TribunalError
from tribunal.guard.guarding import guarded
from tribunal.guard.options import GuardOptions, Release, check_chunks
from tribunal.server_info import ServerInfo
from tribunal.transport.deadline import check_deadline, late_answers, remaining_s, require_time_left
from tribunal.transport.faults import NoConnection, closed_client
from tribunal.transport.interface import Tensor, Tensors, Transport
from tribunal.transport.messages import (
    Question,
    encode_text,
    judgement_request,
    moderation_request,
    read_piece,
    read_server_info,
    read_verdicts,
    require_size,
)
from tribunal.transport.opening import open_transport
from tribunal.transport.process_owned import ProcessOwned
from tribunal.transport.proxy import proxy_to
from tribunal.transport.retries import retry_policy
from tribunal.transport.tries import Tries
from tribunal.verdict import Verdict

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Opened:
    """The connection of one process, and the slots of its calls."""

    transport: Transport
    in_flight: threading.BoundedSemaphore


class Client:
    """Gets verdicts from a Tribunal server; a thread-safe context manager, which may be used across a fork.

    url: `host:port` or `grpcs://host:port` for gRPC, `http://host:port` or `https://host:port` for HTTP.
    timeout_s: deadline of each call in seconds, including queueing and retries.
    connection: TLS, headers, compression, retries and limits.

    Every method raises a TribunalError: InvalidInput, AccessDenied, ServerUnavailable (Overloaded),
    DeadlineExceeded or ServerError.
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
        self._address = parse_address(url, self._connection)
        self._proxy = proxy_to(self._address, os.environ)
        self._opened = ProcessOwned(self._open)
        self._opened.value()
        self._is_closed = False

    def __enter__(self) -> "Client":
        self._is_closed = False
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection, within 5 s; calls in flight and later ones raise InvalidInput."""
        self._is_closed = True
        opened = self._opened.take()
        if opened is not None:
            opened.transport.close()

    def moderate(
        self, text: str, *, judge: JudgeMode | None = None, explain: bool = True, spans: bool = False
    ) -> Verdict:
        """Verdict of one text; the options are those of `moderate_batch`."""
        request = Request(0, [encode_text(text, "text")])
        return only_verdict(
            self._outcomes(request, Call(Question(judge, explain, spans), self._new_deadline_s()))[0]
        )

    @overload
    def moderate_batch(
        self,
        texts: Sequence[str],
        *,
        judge: JudgeMode | None = None,
        explain: bool = True,
        spans: bool = False,
        return_errors: Literal[False] = False,
    ) -> list[Verdict]: ...

    @overload
    def moderate_batch(
        self,
        texts: Sequence[str],
        *,
        judge: JudgeMode | None = None,
        explain: bool = True,
        spans: bool = False,
        return_errors: Literal[True],
    ) -> list[Verdict | TribunalError]: ...

    def moderate_batch(
        self,
        texts: Sequence[str],
        *,
        judge: JudgeMode | None = None,
        explain: bool = True,
        spans: bool = False,
        return_errors: bool = False,
    ) -> list[Verdict] | list[Verdict | TribunalError]:
        """Verdicts of `texts`, one each, in order, within one deadline for all.

        judge: ask the LLM `always`, `never`, or `auto` (if the encoders are undecided); None: the server's
        default.
        explain: False for the LLM's label and score without its reason, which is faster.
        spans: the encoders also read each sentence by itself. The highest score counts, and the verdicts
        name the sentences that cross a threshold. This takes about twice the encoders' time.
        return_errors: return a text's error in place of its verdict. By default the first error is raised.

        Sends requests of at most 32 texts, at most 8 at a time and within `max_in_flight`. If the server
        refuses a request with InvalidInput, the client sends its halves, until the invalid text is isolated.
        """
        encoded = encode_each(texts, return_errors=return_errors)
        call = Call(Question(judge, explain, spans), self._new_deadline_s(), return_errors=return_errors)
        return merged(encoded, self._outcomes_side_by_side(requests_of(encoded), call))

    def stream_judgement(self, text: str) -> Iterator[str]:
        """The LLM's answer on one text, label first, piece by piece as it is generated; gRPC only.

        It is retried only before the first piece. Raises ServerError if the stream ends before the answer is
        complete.
        """
        request = judgement_request(text)
        require_size(request, self._connection.max_message_bytes)
        deadline_s = self._new_deadline_s()

        def begin() -> tuple[list[Tensor], Generator[Tensor]]:
            pieces = self._transport.stream(JUDGE, request, JUDGEMENT, remaining_s(deadline_s))
            return list(itertools.islice(pieces, 1)), pieces

        with late_answers(self._url, self._timeout_s), self._slot_in_flight(deadline_s):
            first, others = self._retrying(begin, deadline_s)
            with contextlib.closing(others):
                for piece in itertools.chain(first, others):
                    yield read_piece(piece)

    def guard(
        self,
        chunks: Iterable[Any],
        *,
        text: Callable[[Any], str | None] | None = None,
        every: int = 200,
        overlap: int = 200,
        release: Release = "checked",
        judge: JudgeMode | None = "never",
        final_judge: JudgeMode | None = None,
    ) -> Generator[str]:
        """The text of `chunks`, checked while it is generated; docs/guides/stream_guard.md has the details.

        chunks: strings, or objects from which `text` reads a string or None, such as an LLM SDK's stream.
        every: characters after which a text without sentence ends is checked.
        overlap: characters before the unreleased part that a check reads again.
        release: `checked` releases only checked text, `immediate` everything until a check is flagged.
        judge, final_judge: mode of the LLM for the parts, and for the whole text at the end.

        Raises StreamFlagged if a check is flagged. It closes `chunks` when it ends.
        """
        options = GuardOptions(
            text=text, every=every, overlap=overlap, release=release, judge=judge, final_judge=final_judge
        )
        check_chunks(chunks, is_async=False)
        return guarded(
            lambda texts, judge: self.moderate_batch(texts, judge=judge, explain=False), chunks, options
        )

    def is_ready(self) -> bool:
        """Whether the server gives verdicts now; False, not an error, while it loads."""
        return self._is_ready(MODERATION, self._new_deadline_s())

    def info(self) -> ServerInfo:
        """The server's models and the source of their weights."""
        deadline_s = self._new_deadline_s()
        names = sorted(self._call(lambda timeout_s: self._transport.models(timeout_s), deadline_s))
        models = {name: self._is_ready(name, deadline_s) for name in names}
        version = self._call(lambda timeout_s: self._transport.version(timeout_s), deadline_s)
        return read_server_info(version, models, self._infer(MANIFEST, {}, MANIFEST, deadline_s))

    def _open(self) -> "_Opened":
        in_flight = threading.BoundedSemaphore(self._connection.max_in_flight)
        return _Opened(open_transport(self._address, self._connection, self._proxy), in_flight)

    def _open_now(self) -> "_Opened":
        """The connection of this process; raises InvalidInput after `close()`."""
        if self._is_closed:
            raise closed_client()
        return self._opened.value()

    @property
    def _transport(self) -> Transport:
        return self._open_now().transport

    def _outcomes_side_by_side(self, requests: Sequence[Request], call: Call) -> list[Outcome]:
        """Outcomes of all texts of `requests`, in order."""
        if len(requests) <= 1:
            return [outcome for request in requests for outcome in self._outcomes(request, call)]
        pool = ThreadPoolExecutor(min(len(requests), REQUESTS_AT_ONCE, self._connection.max_in_flight))
        try:
            answered = pool.map(lambda request: self._outcomes(request, call), requests)
            return [outcome for outcomes in answered for outcome in outcomes]
        finally:
            # After a failure or Ctrl-C, send no more requests.
            pool.shutdown(wait=False, cancel_futures=True)

    def _outcomes(self, request: Request, call: Call) -> list[Outcome]:
        """An outcome for each text of `request`; raises errors unless `call` returns them."""
        try:
            inputs = moderation_request(request.texts, call.question)
            return [*read_verdicts(inputs, self._infer(MODERATION, inputs, VERDICT, call.deadline_s))]
        except call.divided_on as error:
            if len(request.texts) == 1:
                return request.failed(error, call)
            return [outcome for half in request.halves() for outcome in self._outcomes(half, call)]
        except TribunalError as error:
            return request.failed(error, call)

    def _infer(self, model: str, inputs: Tensors, output: str, deadline_s: float) -> Tensor:
        require_size(inputs, self._connection.max_message_bytes)
        return self._call(
            lambda timeout_s: self._transport.infer(model, inputs, output, timeout_s), deadline_s
        )

    def _is_ready(self, model: str, deadline_s: float) -> bool:
        return self._call(lambda timeout_s: self._transport.is_ready(model, timeout_s), deadline_s)

    def _new_deadline_s(self) -> float:
        return time.monotonic() + self._timeout_s

    def _call(self, call: Callable[[float], Result], deadline_s: float) -> Result:
        """Make `call` once a slot is free, with retries, within one deadline."""

        def attempt() -> Result:
            with self._slot_in_flight(deadline_s):
                return call(remaining_s(deadline_s))

        return self._retrying(attempt, deadline_s)

    def _retrying(self, attempt: Callable[[], Result], deadline_s: float) -> Result:
        tries = Tries(self._url, self._timeout_s, self._connection.retries, self._proxy)
        try:
            policy = retry_policy(self._connection.retries, remaining_s(deadline_s))
            return Retrying(**policy)(tries.one()(attempt))
        except TimeoutError as error:
            raise tries.out_of_time() from error
        except NoConnection as error:
            from tribunal.transport.diagnosis import connection_fault

            left_s = remaining_s(deadline_s)
            fault = connection_fault(self._address, self._connection, self._proxy, left_s)
            raise tries.gave_up(error, fault) from error.__cause__ or error
        except ServerUnavailable as error:
            raise tries.gave_up(error) from error.__cause__ or error

    @contextlib.contextmanager
    def _slot_in_flight(self, deadline_s: float) -> Iterator[None]:
        """Hold one of the `max_in_flight` slots; raises TimeoutError if none is free by the deadline."""
        in_flight = self._open_now().in_flight
        is_free = in_flight.acquire(blocking=False)
        if not is_free and not in_flight.acquire(timeout=remaining_s(deadline_s)):
            raise TimeoutError
        try:
            if not is_free:
                require_time_left(deadline_s)
            yield
        finally:
            in_flight.release()
